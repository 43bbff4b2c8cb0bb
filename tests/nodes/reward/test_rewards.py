"""Rewards are what they say, picture by picture, and add up."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from latentloom.graph.node import NodeError
from latentloom.nodes.reward.attribute_reward import attribute_reward
from latentloom.nodes.reward.colourfulness_reward import colourfulness_reward
from latentloom.nodes.reward.score import score
from latentloom.nodes.reward.weighted_reward import weighted_reward
from latentloom.nodes.shapes.caption import caption, request_of
from latentloom.nodes.shapes.render import render
from latentloom.nodes.shapes.scene import held_out_scenes
from latentloom.nodes.types import Image, Prompts

SCENES = held_out_scenes(6, "test")
CAPTIONS = tuple(caption(request_of(scene)) for scene in SCENES)


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    return render(SCENES)


def test_a_picture_of_its_own_caption_has_all_attributes(pixels: Tensor) -> None:
    assert attribute_reward().begin(CAPTIONS)(pixels).tolist() == [1.0] * 6


def test_a_picture_of_another_caption_has_some(pixels: Tensor) -> None:
    scores = attribute_reward().begin(CAPTIONS[1:] + CAPTIONS[:1])(pixels)
    assert scores.dtype == torch.float32
    assert ((scores >= 0) & (scores < 1)).all()


def test_one_prompt_is_for_all_pictures(pixels: Tensor) -> None:
    scores = attribute_reward().begin(CAPTIONS[:1])(pixels)
    assert scores[0] == 1 and (scores[1:] < 1).all()


def test_only_what_is_asked_for_counts(pixels: Tensor) -> None:
    """One attribute and the number of things: the share right is 0, 1/2 or 1."""
    wrong = "red" if SCENES[0].things[0].colour != "red" else "blue"
    assert attribute_reward().begin((f"a {wrong} {SCENES[0].things[0].shape}",))(pixels[:1]).item() == pytest.approx(
        2 / 3
    )


def test_prompts_that_cannot_be_read_are_named_all_at_once() -> None:
    prompts = ("a photo of a dog", CAPTIONS[0], "a circle, a square and a ring")
    with pytest.raises(NodeError, match=r"'a photo of a dog' asks for nothing.*names 3"):
        attribute_reward().begin(prompts)


def test_prompts_that_are_not_as_many_are_refused(pixels: Tensor) -> None:
    with pytest.raises(NodeError, match="There are 2 prompts for 6 pictures"):
        attribute_reward().begin(CAPTIONS[:2])(pixels)


def test_grey_is_not_colourful_and_the_formula_holds() -> None:
    reward = colourfulness_reward().begin(("anything",))
    grey = torch.full((1, 3, 4, 4), 0.3)
    half = torch.zeros(1, 3, 4, 4)
    half[:, 0, :2] = 1  # red above, black below: rg is 255 or 0, yb 127.5 or 0
    expected = ((127.5**2 + 63.75**2) ** 0.5 + 0.3 * (127.5**2 + 63.75**2) ** 0.5) / 100
    assert reward(torch.cat([grey, half])).tolist() == pytest.approx([0, expected], abs=1e-6)


def test_one_reward_that_weighs_one_is_that_reward(pixels: Tensor) -> None:
    alone = colourfulness_reward().begin(("",))(pixels)
    assert torch.equal(weighted_reward((colourfulness_reward(),)).begin(("",))(pixels), alone)


def test_rewards_add_up_by_weight(pixels: Tensor) -> None:
    both = weighted_reward((attribute_reward(), colourfulness_reward()), [2.0, -0.5])
    expected = 2 * attribute_reward().begin(CAPTIONS)(pixels) - 0.5 * colourfulness_reward().begin(CAPTIONS)(pixels)
    assert torch.allclose(both.begin(CAPTIONS)(pixels), expected)


def test_what_weighs_nothing_is_not_asked(pixels: Tensor) -> None:
    """So it may also be a reward that would refuse the prompts."""
    kept = weighted_reward((attribute_reward(), colourfulness_reward()), [0.0, 1.0])
    assert torch.equal(kept.begin(("a dog",))(pixels), colourfulness_reward().begin(("a dog",))(pixels))


@pytest.mark.parametrize(
    ("weights", "sentence"), [([1.0, 1.0], "1 rewards and 2 weights"), ([0.0], "No reward weighs anything")]
)
def test_weights_that_do_not_fit_are_refused(weights: list[float], sentence: str) -> None:
    with pytest.raises(NodeError, match=sentence):
        weighted_reward((attribute_reward(),), weights)


def test_scores_are_told_by_picture_and_over_all(pixels: Tensor) -> None:
    pictures, summary = score(Image(pixels), Prompts(CAPTIONS[:1]), attribute_reward())
    alone = attribute_reward().begin(CAPTIONS[:1])(pixels)
    assert [row[2] for row in pictures.rows] == alone.tolist()
    assert {row[1] for row in pictures.rows} == {CAPTIONS[0]}
    assert summary.rows == ((6, pytest.approx(alone.mean().item()), alone.min().item(), 1.0),)
