"""Faster Diffusion: encoder propagation (Li et al., 2023, https://arxiv.org/abs/2312.09608).

What a UNet's encoder (the way down and the middle) gives changes little between neighbouring steps. It runs at the key
steps only; the steps between take its skips and its middle as they were, and run the decoder with their own timestep:

    key step k:   h_0 ... h_d = down(x_k, t_k),  m = mid(h_d),  e_k = up(m, h, t_k);  keep h and m
    others s:     e_s = up(m, h, t_s)                                  x_s is not read

As nothing in the decoder's input depends on x_s, the predictions up to the next key step can be computed in one batch
(`parallel`), which fills a GPU better and needs memory for that many steps.

If the encoder is the share E of a step (SD 1.5 .325, SDXL .434), K key steps of S give at most
1 / (1 - E (1 - K / S)), and never more than 1 / (1 - E) = 1.48 and 1.77. The paper's 50 steps keep 9.

What is lost of the texture the authors make up for with a little of the first noise after each late step: the node
inject_noise, for the sampler.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from ...graph.node import node
from ..models.call import Call, current
from ..models.forward import forward_replaced
from ..types import Model
from .step_cache import PerBranch, StepCache, added, count

if TYPE_CHECKING:
    from torch import Tensor, nn

Spacing = Literal["paper", "uniform"]

PAPER = (0, 1, 2, 3, 5, 10, 15, 25, 35)
"""The authors' key steps of 50."""


@dataclass(frozen=True)
class FasterDiffusion(StepCache):
    """Runs the encoder of a UNet at the key steps alone."""

    by_picture: ClassVar[bool] = True

    spacing: Spacing
    interval: int
    key_steps: tuple[int, ...] = ()
    parallel: bool = False

    @contextmanager
    def attach(self, part: str, module: nn.Module) -> Iterator[None]:
        from .unet import Ladder

        ladder = Ladder(module, "Faster Diffusion")  # pyright: ignore[reportArgumentType]
        levels = range(len(ladder) - 1, -1, -1)
        encoded, predicted = PerBranch(), dict[int, PerBranch]()

        def decode(features: tuple[Tensor, ...], sample: Tensor, timestep: Any, told_with: dict[str, Any]) -> Tensor:
            *skips, middle = features
            told = ladder.told(sample, timestep, **told_with)
            return ladder.finish(ladder.ascend(middle, skips, told, levels)[0])

        def forward(sample: Tensor, timestep: Any, return_dict: bool = True, **told_with: Any) -> tuple[Tensor]:
            call = current()
            features, rows = None, sample.shape[0]
            if call is not None and call.at not in (keys := key_steps(self, len(call.steps))):
                since = max(key for key in keys if key < call.at)
                if call.at in predicted and (ready := predicted[call.at].get(call.branches, rows, since)) is not None:
                    count(call, "encoder passes skipped")
                    return (ready[0],)
                features = encoded.get(call.branches, rows, since)
            if features is not None:
                count(call, "encoder passes skipped")
                return (decode(features, sample, timestep, told_with),)
            told = ladder.told(sample, timestep, **told_with)
            skips = ladder.descend(sample, told)
            features = (*skips, ladder.middle(skips[-1], told))
            if call is None:
                return (ladder.finish(ladder.ascend(features[-1], skips, told, levels)[0]),)
            encoded.put(call.branches, features)
            ahead = until_next(self, call) if self.parallel else [call.at]
            if len(ahead) == 1:
                return (ladder.finish(ladder.ascend(features[-1], skips, told, levels)[0]),)
            together = decode(
                tuple(repeated(each, len(ahead)) for each in features),
                repeated(sample, len(ahead)),
                timesteps(call, ahead, rows, sample.device),
                {name: repeated(value, len(ahead)) for name, value in told_with.items()},
            ).chunk(len(ahead))
            for past in [at for at in predicted if at < call.at]:
                del predicted[past]
            for at, prediction in zip(ahead, together, strict=True):
                predicted.setdefault(at, PerBranch()).put(call.branches, (prediction,))
            return (together[0],)

        with forward_replaced(module, forward):
            yield


def key_steps(method: FasterDiffusion, steps: int) -> frozenset[int]:
    """At which of a run's `steps` the encoder runs; the paper's 9 of 50 are stretched to other lengths."""
    if method.key_steps:
        return frozenset({0, *method.key_steps})
    if method.spacing == "uniform":
        return frozenset(range(0, steps, method.interval))
    return frozenset(step * steps // 50 for step in PAPER)


def until_next(method: FasterDiffusion, call: Call) -> list[int]:
    """The step under way and those after it, up to the next key step."""
    keys, end = key_steps(method, len(call.steps)), len(call.steps)
    return list(range(call.at, min((key for key in keys if key > call.at), default=end)))


def timesteps(call: Call, ahead: list[int], rows: int, device: Any) -> Tensor:
    """The timestep of each row (len(ahead) · rows,) of a batch that goes through the steps one after another."""
    import torch

    return torch.stack([call.steps[at].timestep.reshape(()) for at in ahead]).to(device).repeat_interleave(rows)


def repeated(value: Any, times: int) -> Any:
    """Tensors (B, ...), also those in a dictionary, as (times · B, ...); anything else as it is."""
    import torch

    if isinstance(value, dict):
        return {name: repeated(each, times) for name, each in value.items()}
    return value.repeat(times, *[1] * (value.dim() - 1)) if isinstance(value, torch.Tensor) else value


@node(title="Faster Diffusion")
def faster_diffusion(
    model: Model,
    spacing: Annotated[
        Spacing, Field(description="the paper's key steps, densest at the beginning, or one every `interval`")
    ] = "paper",
    interval: Annotated[
        int, Field(ge=1, le=50, description="uniform: every how many steps the encoder runs; 1 is always")
    ] = 4,
    key_steps: Annotated[
        list[Annotated[int, Field(ge=0, le=1000)]],
        Field(max_length=1000, description="exactly the steps at which the encoder runs; empty: as spaced"),
    ] = [],  # noqa: B006
    parallel: Annotated[bool, Field(description="decode the steps up to the next key step in one batch")] = False,
) -> Model:
    """Run a UNet's encoder only at key steps, and its decoder at every step.

    For models with a UNet. The authors add a little noise after late steps: inject_noise, for the sampler.
    https://arxiv.org/abs/2312.09608
    """
    return added(model, FasterDiffusion(spacing, interval, tuple(key_steps), parallel), "Faster Diffusion")
