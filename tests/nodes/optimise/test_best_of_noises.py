"""The noise kept is the best of those drawn, the wired one among them, and what it took is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from studio import PROMPT, Studio
from torch import Tensor

from latentloom.graph.node import NodeError
from latentloom.graph.progress import Progress
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.optimise.best_of_noises import best_of_noises
from latentloom.nodes.optimise.optimised import Optimised
from latentloom.nodes.prompt.encode_prompt import encode_prompt
from latentloom.nodes.reward.colourfulness_reward import colourfulness, colourfulness_reward
from latentloom.nodes.schedule.sampler import sampler
from latentloom.nodes.schedule.schedule import schedule
from latentloom.nodes.types import Image, Prompts, Reward

RUN: dict[str, Any] = {"schedule": schedule(2), "sampler": sampler("euler_ancestral"), "guidance": cfg(3)}


def best(studio: Studio, pictures: int = 1, **options: Any) -> Optimised:
    given = {"reward": colourfulness_reward(), "prompts": Prompts((PROMPT,)), "at_once": 2, **RUN, **options}
    noise = given.pop("noise", None) or studio.noise(pictures)
    return best_of_noises(studio.model, noise, encode_prompt(studio.model, PROMPT), **given)


def rewards(studio: Studio, **options: Any) -> Tensor:
    return colourfulness(studio.ours(**RUN, **options))


def test_of_one_noise_the_plain_noise_is_kept(sd: Studio) -> None:
    plain, found = sd.noise(2), best(sd, 2, noises=1)
    assert torch.equal(found.noise.samples, plain.samples)
    assert found.noise.seeds == plain.seeds
    assert found.figure.series[0].x == (4.0,)


def test_the_best_of_several_makes_the_picture_that_was_scored(sd: Studio) -> None:
    found = best(sd, noises=5)
    alone = torch.cat([rewards(sd, noise=sd.noise(seed=11 + place)) for place in range(5)])
    assert found.noise.seeds == (11 + int(alone.argmax()),)
    assert torch.equal(found.noise.samples, sd.noise(seed=found.noise.seeds[0]).samples)
    assert found.figure.series[0].y == pytest.approx(alone.cummax(0).values.tolist(), abs=1e-5)
    assert rewards(sd, noise=found.noise).item() == pytest.approx(alone.max().item(), abs=1e-5)
    row = dict(zip(found.table.columns, found.table.rows[0], strict=True))
    assert row["best_reward"] == found.figure.series[0].y[-1]
    assert row["first_reward"] == found.figure.series[0].y[0]
    assert row["chosen"] == alone.argmax()


def test_a_wired_noise_of_no_seed_is_among_them(sd: Studio) -> None:
    noise = type(sd.noise())(torch.full_like(sd.noise().samples, 0.1), (11,))
    kept = best(sd, noise=noise, noises=3, reward=Flat())
    assert torch.equal(kept.noise.samples, noise.samples), "the first of equally good ones"


def test_calls_are_noises_times_steps_times_branches(sd: Studio) -> None:
    notes: dict[str, Any] = {}
    told: list[tuple[int, int]] = []
    shown: list[Image] = []

    def tell(done: int, total: int, _: str, preview: Any) -> None:
        told.append((done, total))
        if preview is not None:
            shown.append(preview())

    found = best(sd, 2, noises=3, progress=Progress(tell, notes.update))
    assert notes["network_calls"] == 2 * 3 * 2 * 2
    assert notes["tried"] == 6
    assert [row[found.table.columns.index("network_calls")] for row in found.table.rows] == [12, 12]
    assert [each.name for each in found.figure.series] == ["picture 0", "picture 1", "mean"]
    assert found.figure.series[0].x == (4.0, 8.0, 12.0)
    assert told == [(2, 6), (3, 6), (5, 6), (6, 6)]
    assert shown[0].pixels.shape == (1, 3, 32 + 8, 32)


def test_pictures_draw_different_noises(sd: Studio) -> None:
    found = best(sd, 2, noises=4)
    first, second = found.noise.seeds
    assert (first - 11) % 2 == 0 and (second - 12) % 2 == 0
    alone = best(sd, noise=type(found.noise)(sd.noise(2).samples[1:], (12,)), noises=1)
    assert alone.figure.series[0].y[0] == pytest.approx(found.figure.series[1].y[0], abs=1e-5)


def test_it_stops_when_good_enough(sd: Studio) -> None:
    whole = best(sd, noises=5).figure.series[0]
    found = best(sd, noises=5, at_once=1, good_enough=whole.y[0] - 1e-4).figure.series[0]
    assert len(found.x) == 1


@dataclass(frozen=True)
class Flat(Reward):
    """Likes all the same; no gradient flows through it."""

    value: float = 1.0

    def begin(self, texts: tuple[str, ...]) -> Callable[[Tensor], Tensor]:
        assert texts == (PROMPT,)
        return lambda pixels: torch.full((len(pixels),), self.value)


def test_a_reward_that_is_no_number_is_the_worst(sd: Studio) -> None:
    assert best(sd, noises=2, reward=Flat(float("nan"))).noise.seeds == (11,)


def test_prompts_that_are_not_as_many_are_refused(sd: Studio) -> None:
    with pytest.raises(NodeError, match="2 prompts for 3 pictures"):
        best(sd, 3, prompts=Prompts((PROMPT, PROMPT)))
