"""The network that reads pictures learns to, and what it is told is right."""

from __future__ import annotations

import torch

from latentloom.nodes.shapes.features import ANSWERS, Reader
from latentloom.nodes.shapes.render import render
from latentloom.nodes.shapes.scene import Scene, Thing, held_out_scenes
from latentloom.nodes.train.features import UNASKED, accuracy, answers, disturbed, fit_features
from latentloom.nodes.train.loop import generator_at

SCENE = Scene(
    (Thing("square", "red", "large", 0.25, 0.5), Thing("ring", "blue", "small", 0.75, 0.5)), "navy", relation="left of"
)


def words(name: str, at: tuple[int, int]) -> str | None:
    number = int(answers([SCENE], 32)[name][0][at])
    return None if number == UNASKED else ANSWERS[name][number]


def test_each_position_is_asked_for_what_is_there() -> None:
    assert [words(name, (4, 2)) for name in ANSWERS] == ["red", "square", "large"]
    assert [words(name, (0, 0)) for name in ANSWERS] == ["navy", "none", "none"]
    assert {words("shape", (row, column)) for row in (3, 4) for column in (5, 6)} <= {"ring", None}


def test_where_an_outline_passes_nothing_is_asked() -> None:
    asked = answers([SCENE], 32)
    unsure = asked["colour"][0] == UNASKED
    assert 0 < unsure.sum() < unsure.numel() / 2
    assert all(torch.equal(asked[name][0] == UNASKED, unsure) for name in ANSWERS)


def test_a_thing_alone_is_no_second_thing() -> None:
    alone = Scene((Thing("bar", "lime", "small", 0.5, 0.5),), "black", place="center")
    told = answers([alone], 32)["colour"][0].unique().tolist()
    assert sorted(ANSWERS["colour"][word] for word in told if word != UNASKED) == ["black", "lime"]


def test_it_learns_and_goes_on_from_a_checkpoint(tmp_path) -> None:
    _, whole = fit_features(tmp_path / "whole", steps=12, batch=8)
    fit_features(tmp_path / "parts", steps=12, batch=8, stop_after=5)
    reader, parts = fit_features(tmp_path / "parts", steps=12, batch=8)
    assert parts.losses == whole.losses
    assert all(torch.equal(one, parts.weights[name]) for name, one in whole.weights.items())
    assert whole.losses[-1][1] < 0.96 * whole.losses[0][1]
    assert set(accuracy(reader, held_out_scenes(4), 32)) == {"background", *ANSWERS}


def test_what_knows_nothing_reads_nothing() -> None:
    torch.manual_seed(0)
    right = accuracy(Reader(), held_out_scenes(40), 32)
    assert max(right["shape"], right["colour"]) < 0.5


def test_pictures_are_disturbed_a_little_and_repeatably() -> None:
    clean = render(held_out_scenes(16))
    once, again = (disturbed(clean, 0.03, generator_at(0, 1)) for _ in range(2))
    assert torch.equal(once, again)
    assert 0.001 < (once - clean).square().mean().sqrt() < 0.1
    assert (disturbed(clean, 0.0, generator_at(0, 1)) == clean).flatten(1).all(1).any()  # half are not blurred
