"""Methods beside each other: numbers, curve and pictures."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from latentloom.graph.node import NodeError
from latentloom.nodes.evaluate.compare import Comparison, compare
from latentloom.nodes.evaluate.quality import Quality, better
from latentloom.nodes.evaluate.result import result
from latentloom.nodes.evaluate.shapes_prompts import shapes_prompts
from latentloom.nodes.shapes.features import distance
from latentloom.nodes.shapes.render import render
from latentloom.nodes.shapes.scene import held_out_scenes
from latentloom.nodes.types import Branch, Image, Measured, Prompts, Report, Results, Reward

COUNT = 12
PROMPTS = shapes_prompts(COUNT, "test")
SCENES = held_out_scenes(COUNT, "test")
RIGHT = render(SCENES)
WRONG = render([replace(scene, background="gray" if scene.background != "gray" else "white") for scene in SCENES])


def noisy(deviation: float, seed: int = 0) -> Tensor:
    return (RIGHT + deviation * torch.randn(RIGHT.shape, generator=torch.Generator().manual_seed(seed))).clamp(0, 1)


def one(name: str, pixels: Tensor, seconds: float, flops: int | None = None, **facts: Any) -> Measured:
    report = Report(10, 10, (Branch("positive", 10, 0),), (), (seconds / 10,) * 10, seconds, 5_000_000, flops)
    return Measured(name, name.split(",")[0], Image(pixels), report, seconds, **facts)


BASE = one("plain", RIGHT, 2.0, 8_000_000_000, plain=True)


def rows(found: Comparison) -> list[dict[str, Any]]:
    return [dict(zip(found.table.columns, row, strict=True)) for row in found.table.rows]


def compared(*measured: Measured, **options: Any) -> list[dict[str, Any]]:
    return rows(compare((Results((BASE, *measured)),), **options))


def test_speed_and_its_limit() -> None:
    base, cached = compared(one("cached", noisy(0.1), 0.8, 2_000_000_000))
    assert (base["speed-up"], base["limit"], base["of the limit"]) == (1, 1, 1)
    assert (cached["seconds"], cached["speed-up"], cached["limit"], cached["of the limit"]) == (0.8, 2.5, 4, 0.625)
    assert (cached["calls"], cached["GFLOPs"], cached["memory MB"]) == (10, 2, 5)


def test_how_far_pictures_are_from_the_baselines() -> None:
    base, near = compared(one("near", noisy(0.1), 1.0))
    assert (base["PSNR"], base["SSIM"], base["drift"]) == (None, 1, 0)
    assert near["PSNR"] == pytest.approx(-10 * math.log10(float((noisy(0.1) - RIGHT).square().mean())), abs=0.01)
    assert near["drift"] == pytest.approx(float(distance(noisy(0.1), RIGHT).mean()), abs=1e-5)
    assert 0 < near["SSIM"] < 1


def test_ssim_is_that_of_its_formula() -> None:
    """Of flat pictures only the means count: (2 a b + c) / (a² + b² + c), c = 0.01²."""
    flat = [Image(torch.full((2, 3, 32, 32), value)) for value in (0.4, 0.6)]
    report = BASE.report
    found = rows(compare((result(flat[0], report, "a"), result(flat[1], report, "b"))))
    assert found[1]["SSIM"] == pytest.approx((2 * 0.24 + 1e-4) / (0.16 + 0.36 + 1e-4), abs=1e-4)


def test_attributes_are_graded_where_prompts_are_of_the_world_of_shapes() -> None:
    base, wrong = compared(one("wrong", WRONG, 1.0), prompts=PROMPTS)
    assert base["attributes right"] == base["all right"] == 1
    assert wrong["all right"] == 0
    assert 0.7 < wrong["attributes right"] < 0.9  # the background is one of six or eight
    assert "attributes right" not in compared(one("wrong", WRONG, 1.0))[0]
    foreign = Prompts(("a cat",) * COUNT)
    assert "attributes right" not in compared(one("wrong", WRONG, 1.0), prompts=foreign)[0]


def test_prompts_of_a_measurement_are_used() -> None:
    found = rows(compare((Results((BASE,), PROMPTS),)))
    assert found[0]["all right"] == 1


@dataclass(frozen=True)
class Brightness(Reward):
    """The mean of a picture."""

    def begin(self, texts: tuple[str, ...]) -> Callable[[Tensor], Tensor]:
        return lambda pixels: pixels.mean((1, 2, 3))


def test_a_reward_scores() -> None:
    base, dark = compared(one("dark", RIGHT / 2, 1.0), prompts=PROMPTS, reward=Brightness())
    assert dark["reward"] == pytest.approx(base["reward"] / 2, abs=1e-3)
    with pytest.raises(NodeError, match="wire these into prompts"):
        compared(reward=Brightness())


# ---------------------------------------------------------------- against the plain run of equal time


@pytest.mark.parametrize(
    ("ours", "theirs", "says"),
    [
        (noisy(0.02), noisy(0.1), "yes"),
        (noisy(0.1), noisy(0.02), "no"),
        (noisy(0.1), noisy(0.1), "equal"),
        (noisy(0.1, seed=1), noisy(0.1, seed=2), "equal"),
        (WRONG, noisy(0.1), "no"),
        (noisy(0.1), WRONG, "yes"),
    ],
    ids=["nearer", "further", "same", "as far", "less right", "more right"],
)
def test_it_is_said_whether_a_method_beats_plain_steps(ours: Tensor, theirs: Tensor, says: str) -> None:
    rival = one("plain, 5 steps", theirs, 1.0, plain=True)
    base, method, plain = compared(one("cached", ours, 1.0, rival=rival.name), rival, prompts=PROMPTS)
    assert (method["beats plain"], method["plain of equal time"]) == (says, rival.name)
    assert base["beats plain"] is plain["beats plain"] is None


def test_what_is_right_decides_before_the_drift() -> None:
    zeros, ones = torch.zeros(20), torch.ones(20)
    right, near = (Quality(zeros, zeros, drift, share) for drift, share in ((ones, ones), (zeros, zeros)))
    assert (better(right, near), better(near, right)) == (1, -1)


def test_chance_decides_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    one_drift, other = (1 + torch.randn(50, generator=generator) for _ in range(2))
    zeros = torch.zeros(50)
    assert better(Quality(zeros, zeros, one_drift), Quality(zeros, zeros, other)) == 0
    assert better(Quality(zeros, zeros, one_drift), Quality(zeros, zeros, one_drift + 0.5)) == 1


# ---------------------------------------------------------------- figure and sheet


def test_the_figure_has_plain_runs_as_a_curve_and_a_point_a_setting() -> None:
    found = compare(
        (
            Results(
                (
                    BASE,
                    one("cached, interval 3", noisy(0.1), 0.5),
                    one("cached, interval 2", noisy(0.05), 1.0),
                    one("plain, 5 steps", noisy(0.2), 1.0, plain=True),
                )
            ),
        )
    )
    plain, cached = found.figure.series
    assert (plain.x, plain.points) == ((1.0, 2.0), False)
    assert plain.y[0] == 0
    assert (cached.name, cached.x, cached.points) == ("cached", (2.0, 4.0), True)
    assert found.figure.y_label == "drift"
    assert 0 < cached.y[0] < cached.y[1]


def test_the_figure_shows_what_it_is_told_to() -> None:
    results = (Results((BASE, one("wrong", WRONG, 1.0)), PROMPTS),)
    assert compare(results).figure.y_label == "attributes right"
    shown = compare(results, quality="SSIM")
    assert shown.figure.y_label == "SSIM"
    assert shown.figure.series[0].y == (1.0,)
    with pytest.raises(NodeError, match="Nothing is known of 'reward': it takes a reward"):
        compare(results, quality="reward")


def test_the_sheet_shows_the_first_pictures_of_each_method() -> None:
    few, many = (compare((Results((BASE, one("wrong", WRONG, 1.0))),), pictures=count).sheet.pixels for count in (1, 4))
    assert few.shape[2] == many.shape[2]
    assert many.shape[3] > few.shape[3]
    assert compare((Results((BASE,)),), pictures=4).sheet.pixels.shape[2] < many.shape[2]


# ---------------------------------------------------------------- several results


def test_results_made_by_hand_are_compared() -> None:
    report = replace(BASE.report, flops=None, memory=None)
    both = (
        result(Image(RIGHT), report, "stock"),
        result(Image(noisy(0.1)), replace(report, total_seconds=1.0), "mine"),
    )
    found = rows(compare(both))
    assert [(row["method"], row["speed-up"]) for row in found] == [("stock", 1), ("mine", 2)]
    assert not {"limit", "GFLOPs", "memory MB", "beats plain"} & set(found[0])


def test_each_measurement_has_plain_runs_of_its_own() -> None:
    def measured(rival: Tensor) -> Results:
        return Results(
            (one("a", noisy(0.1), 1.0, rival="plain, 5 steps"), one("plain, 5 steps", rival, 1.0, plain=True))
        )

    found = rows(compare((Results((BASE,)), measured(noisy(0.3)), measured(noisy(0.02)))))
    assert [row["beats plain"] for row in found] == [None, "yes", None, "no", None]


@pytest.mark.parametrize(
    ("results", "options", "sentence"),
    [
        ((), {}, "nothing to compare"),
        ((Results((BASE, one("few", RIGHT[:3], 1.0))),), {}, "3 of 32x32 pixels and 12 of 32x32"),
        ((Results((BASE,)),), {"prompts": Prompts(("a ring", "a bar"))}, "12 pictures and 2 prompts"),
    ],
)
def test_what_does_not_go_together_is_told(results: Any, options: Any, sentence: str) -> None:
    with pytest.raises(NodeError, match=sentence):
        compare(results, **options)
