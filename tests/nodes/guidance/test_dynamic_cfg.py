# pyright: reportArgumentType=false

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from studio import NEGATIVE as WORDS
from studio import Studio
from torch import Tensor
from toy import EMPTY, NEGATIVE, POSITIVE, Network, start, steps, walk

from latentloom.graph.node import NodeError
from latentloom.graph.progress import Progress
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.guidance.dynamic_cfg import dynamic_cfg
from latentloom.nodes.guidance.guide import Conditions
from latentloom.nodes.reward.colourfulness_reward import colourfulness_reward
from latentloom.nodes.schedule.schedule import schedule
from latentloom.nodes.types import Guidance, Prompts, Reward

PROMPTS = Prompts(("a circle",))
SCALES = [3.0, 1.0, 7.5, 11.0]
STEPS = 20


@dataclass(frozen=True)
class By(Reward):
    """A reward that is a function of the decoded pictures."""

    function: Callable[[Tensor], Tensor]

    def begin(self, texts: tuple[str, ...]) -> Callable[[Tensor], Tensor]:
        return lambda pixels: self.function(pixels).float()


def power(pixels: Tensor) -> Tensor:
    return pixels.square().mean((1, 2, 3)) + 1


def tilt(pixels: Tensor) -> Tensor:
    return 5 + pixels[:, 0].mean((1, 2))


def constant(pixels: Tensor) -> Tensor:
    return torch.ones(len(pixels))


def run(guidance: Guidance, sample: Tensor | None = None) -> tuple[list[Tensor], Network, dict[str, Any]]:
    """As `walk`, with decoding that is left out, and what the guidance told."""
    network, decoded = Network(), []
    live = SimpleNamespace(decode=lambda latent: decoded.append(len(latent)) or latent)
    conditions = Conditions(POSITIVE, NEGATIVE, lambda: EMPTY, live)
    guide, walked = guidance.begin(conditions), []
    sample = start() if sample is None else sample
    for step in steps():
        sample = sample - 0.05 * guide(network, sample, step)
        walked.append(sample)
    return walked, network, {**conditions.notes, "decoded": decoded}


def dynamic(*functions: Callable[[Tensor], Tensor], scales: list[float] = SCALES, **options: Any) -> Guidance:
    return dynamic_cfg(tuple(By(function) for function in functions), PROMPTS, scales, **options)


@pytest.mark.parametrize("scale", [7.5, 1.0])
def test_one_scale_is_plain_guidance_and_decodes_nothing(scale: float) -> None:
    walked, network, notes = run(dynamic(power, scales=[scale]))
    plain, asked = walk(cfg(scale))
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(walked, plain, strict=True))
    assert network.calls == asked.calls
    assert notes["decoded"] == []


def test_equally_good_scales_leave_the_first() -> None:
    walked, _, notes = run(dynamic(constant))
    assert {scale for chosen in notes["guidance_scales"] for scale in chosen} == {SCALES[0]}
    assert torch.equal(walked[-1], walk(cfg(SCALES[0]))[0][-1])


@pytest.mark.parametrize("scales", [[1.0, 2.0], SCALES])
def test_both_branches_are_evaluated_once_a_step_whatever_is_tried(scales: list[float]) -> None:
    _, network, notes = run(dynamic(power, scales=scales))
    assert network.calls == 2 * STEPS
    assert notes["candidates_decoded"] == sum(notes["decoded"]) == len(scales) * 3 * STEPS


def test_a_score_times_two_changes_no_choice() -> None:
    for weighting in ("equal", "adaptive"):
        once = run(dynamic(power, weighting=weighting))[2]["guidance_scales"]
        twice = run(dynamic(lambda x: 2 * power(x), weighting=weighting))[2]["guidance_scales"]
        assert once == twice


def test_the_choice_is_the_best_and_is_of_more_than_one_kind() -> None:
    """Written out for one picture: the prediction followed is the candidate whose picture scores most."""
    network, sample = Network(), start(1)
    walked, _, notes = run(dynamic(tilt), start(1))
    for at, step in enumerate(steps()):
        u, c = (network.answer(sample, step.timestep, branch) for branch in (NEGATIVE, POSITIVE))
        candidates = [u + s * (c - u) for s in SCALES]
        scores = [tilt(step.denoised(sample, candidate)).item() for candidate in candidates]
        best = max(range(len(SCALES)), key=lambda i: scores[i])
        assert notes["guidance_scales"][at] == [SCALES[best]]
        sample = sample - 0.05 * candidates[best]
        assert torch.equal(walked[at], sample)


@pytest.mark.parametrize("weighting", ["adaptive", "clamped"])
def test_weights_are_the_relative_change_of_the_mean(weighting: str) -> None:
    evaluators = (power, tilt)
    network, sample, before, turned = Network(), start(1), None, 0
    walked, _, notes = run(dynamic(*evaluators, weighting=weighting), start(1))
    for at, step in enumerate(steps()):
        u, c = (network.answer(sample, step.timestep, branch) for branch in (NEGATIVE, POSITIVE))
        candidates = [u + s * (c - u) for s in SCALES]
        scores = [[e(step.denoised(sample, x)).float().item() for e in evaluators] for x in candidates]
        mean = [sum(column) / len(SCALES) for column in zip(*scores, strict=True)]
        alpha = [1.0, 1.0] if before is None else [(m - b) / b for m, b in zip(mean, before, strict=True)]
        turned += min(alpha) < 0
        alpha = [max(0.0, a) for a in alpha] if weighting == "clamped" else alpha
        sums = [sum(a * e for a, e in zip(alpha, row, strict=True)) for row in scores]
        best, before = sums.index(max(sums)), mean
        assert notes["guidance_scales"][at] == [SCALES[best]]
        sample = sample - 0.05 * candidates[best]
    assert torch.allclose(walked[-1], sample)
    assert turned, "a weight is to be negative once"


def test_an_image_comes_out_of_a_batch_as_it_does_alone() -> None:
    guidance, batch = dynamic(tilt, weighting="adaptive"), start(3)
    together = run(guidance, batch)
    alone = [run(guidance, batch[i : i + 1]) for i in range(3)]
    chosen = [[one[0] for one in each[2]["guidance_scales"]] for each in alone]
    assert len({tuple(one) for one in chosen}) > 1, "the images are to choose differently"
    assert [list(row) for row in zip(*together[2]["guidance_scales"], strict=True)] == chosen
    assert torch.allclose(together[0][-1], torch.cat([each[0][-1] for each in alone]), rtol=0, atol=1e-12)


def test_it_looks_only_where_it_is_told_and_keeps_the_choice_between() -> None:
    _, network, notes = run(dynamic(tilt, every=4, start=0.25))
    assert len(notes["decoded"]) == len(SCALES) * 4  # at steps 5, 9, 13, 17
    assert notes["guidance_scales"][:5] == [[SCALES[0]] * 3] * 5
    looked = notes["guidance_scales"][5:]
    assert all(looked[at] == looked[at - at % 4] for at in range(len(looked)))
    assert network.calls == 2 * STEPS


def test_no_reward_is_refused() -> None:
    with pytest.raises(NodeError, match="wire at least one"):
        dynamic_cfg((), PROMPTS)


# ---------------------------------------------------------------- in a run


def told(studio: Studio, guidance: Guidance) -> tuple[Tensor, dict[str, Any]]:
    notes: dict[str, Any] = {}
    options = {"negative": WORDS, "schedule": schedule(4), "progress": Progress(on_note=notes.update)}
    return studio.ours(2, guidance=guidance, **options), notes


@pytest.mark.parametrize("name", ["sd", "sd3"])
def test_a_run_reports_what_it_chose(name: str, request: pytest.FixtureRequest) -> None:
    studio: Studio = request.getfixturevalue(name)
    reward = (colourfulness_reward(),)
    _, notes = told(studio, dynamic_cfg(reward, PROMPTS, [2.0, 6.0]))
    assert notes["network_calls"] == 2 * notes["network_passes"]
    assert notes["candidates_decoded"] == 2 * 2 * notes["network_passes"]
    assert {scale for row in notes["guidance_scales"] for scale in row} <= {2.0, 6.0}
    assert len(notes["guidance_scales"]) == notes["network_passes"]


def test_one_scale_is_the_plain_run(sd: Studio) -> None:
    assert torch.equal(told(sd, dynamic_cfg((colourfulness_reward(),), PROMPTS, [3.0]))[0], told(sd, cfg(3))[0])
