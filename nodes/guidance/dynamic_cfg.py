"""Classifier-free guidance whose scale is chosen by what it leads to: an adaptation of dynamic guidance by online
feedback (Papalampidi et al., 2025, https://arxiv.org/abs/2509.16131).

At each step, of candidate scales s in S and evaluators e, for each picture by itself:

    x0_s = the finished picture that e_u + s (e_c - e_u) points at,   E[s, e] = reward_e(x0_s),
    s* = the first argmax over s of sum over e of a_e E[s, e]

The paper's evaluators see the noisy latent of the next step, and their weights are not public. Here rewards see the
picture decoded from the prediction: any reward serves, and the network is asked no more often (2 N calls for any S),
but each candidate is decoded: |S| pictures a step and picture, unless only every m-th step is looked at.

The weights a_e are 1, or as in the paper how much the evaluator's mean over the candidates changed since it last
looked, relative to what it was: (mean_now - mean_before) / mean_before, 1 at first. A mean that fell makes the weight
negative and turns the choice round; `clamped` takes 0 instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from ...graph.node import NodeError, node
from ..models.family import Predict
from ..types import Guidance, Prompts, Reward
from .classifier_free import ClassifierFree
from .guide import Conditions, Guide, Step

if TYPE_CHECKING:
    from torch import Tensor

Weighting = Literal["equal", "adaptive", "clamped"]


@dataclass(frozen=True)
class Dynamic(Guidance):
    """The best of `scales` for each picture, by `rewards` of what the steps from the share `start` of the run on, every
    `every`-th, point at; in between the last choice, before it the first of `scales`."""

    rewards: tuple[Reward, ...]
    prompts: tuple[str, ...]
    scales: tuple[float, ...]
    every: int
    start: float
    weighting: Weighting

    def begin(self, conditions: Conditions) -> Guide:
        if len(self.scales) == 1:
            return ClassifierFree(self.scales[0]).begin(conditions)
        import torch

        scorers = [reward.begin(self.prompts) for reward in self.rewards]
        last: Tensor | None = None  # (B,) which of the scales
        before: Tensor | None = None  # (B, evaluators) their means when they last looked
        told: list[list[float]] = conditions.notes.setdefault("guidance_scales", [])
        decoded = 0

        def look(candidates: Tensor, sample: Tensor, step: Step) -> Tensor:
            """The scores (scales, B, evaluators) of what `candidates` (scales, B, C, h, w) point at."""
            nonlocal decoded
            decoded += candidates.shape[0] * candidates.shape[1]
            pictures = (conditions.network.decode(step.denoised(sample, candidate)) for candidate in candidates)
            return torch.stack([torch.stack([score(pixels) for score in scorers], -1) for pixels in pictures])

        def guide(predict: Predict, sample: Tensor, step: Step) -> Tensor:
            nonlocal last, before
            negative, positive = predict(sample, step.timestep, (conditions.negative, conditions.positive))
            candidates = torch.stack([negative + scale * (positive - negative) for scale in self.scales])
            chosen = torch.zeros(len(sample), dtype=torch.long) if last is None else last
            if self.looks(step):
                scores = look(candidates, sample, step).double()
                means = scores.mean(0)
                chosen = (scores * weights(self.weighting, means, before)).sum(-1).argmax(0)
                before = means
            last = chosen
            told.append([self.scales[index] for index in chosen.tolist()])
            conditions.notes["candidates_decoded"] = decoded
            return candidates[chosen.to(candidates.device), torch.arange(len(sample), device=candidates.device)]

        return guide

    def looks(self, step: Step) -> bool:
        """Whether the candidates are decoded and scored at this step."""
        first = int(self.start * step.total)
        return step.index >= first and (step.index - first) % self.every == 0


def weights(weighting: Weighting, means: Tensor, before: Tensor | None) -> Tensor:
    """a_e of the formula, for each picture (B, evaluators); `means` and `before` are so too."""
    import torch

    if weighting == "equal" or before is None:
        return torch.ones_like(means)
    tiny = torch.full_like(before, 1e-8)
    change = (means - before) / torch.where(before.abs() < tiny, tiny, before)
    return change.clamp_min(0) if weighting == "clamped" else change


@node(title="Dynamic CFG (adaptation)")
def dynamic_cfg(
    rewards: tuple[Reward, ...],
    prompts: Prompts,
    scales: Annotated[
        list[Annotated[float, Field(ge=0, le=100)]],
        Field(
            min_length=1,
            max_length=100,
            description="to choose from; the first is taken until it first looks, and of equally good ones",
        ),
    ] = [7.5, 1.0, 3.0, 11.0, 15.0],  # noqa: B006
    every: Annotated[int, Field(ge=1, le=1000, description="look at every how many steps; each costs decoding")] = 1,
    start: Annotated[
        float, Field(ge=0, le=1, description="share of the run after which it looks: early pictures tell little")
    ] = 0.0,
    weighting: Annotated[
        Weighting,
        Field(
            description="equal: rewards just add up; adaptive: by how they changed, as in the paper, which may turn a "
            "choice round; clamped: so, but not below 0"
        ),
    ] = "equal",
) -> Guidance:
    """Choose the guidance scale of each step and picture by how well a reward likes what it leads to.

    The prompts are those that the run is conditioned on, one for all pictures or one each. Of one scale it is plain
    guidance; else both branches are evaluated once a step, whatever is tried. The scales chosen are in the run's
    report. An adaptation: the paper scores noisy latents with evaluators that are not public, here rewards score the
    decoded prediction. https://arxiv.org/abs/2509.16131
    """
    if not rewards:
        raise NodeError("No reward is wired; wire at least one to choose the scale by.")
    return Dynamic(rewards, prompts.texts, tuple(scales), every, start, weighting)
