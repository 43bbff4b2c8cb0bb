from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from latentloom.nodes.guidance.cfg import ClassifierFree, cfg
from latentloom.nodes.guidance.guide import Conditions, Step
from latentloom.nodes.types import Conditioning

POSITIVE, NEGATIVE, EMPTY = (Conditioning(torch.full((1, 2, 3), float(value))) for value in (1, 2, 3))
ANSWERS = {id(c): torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(i)) for i, c in
           enumerate((POSITIVE, NEGATIVE, EMPTY))}  # fmt: skip


class Network:
    """Answers each branch with its own picture and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Conditioning, ...]] = []

    def __call__(self, sample: Any, timestep: Any, branches: Sequence[Conditioning]) -> tuple[torch.Tensor, ...]:
        self.asked.append(tuple(branches))
        return tuple(ANSWERS[id(branch)] for branch in branches)


def guided(guidance: Any, negative: Conditioning | None = NEGATIVE) -> tuple[torch.Tensor, Network]:
    network = Network()
    guide = guidance.begin(Conditions(POSITIVE, negative, lambda: EMPTY))
    return guide(network, torch.zeros(2, 4, 8, 8), Step(0, 1, torch.tensor(999), 14.6)), network


def test_it_moves_away_from_the_negative() -> None:
    prediction, network = guided(cfg(7.5))
    positive, negative = ANSWERS[id(POSITIVE)], ANSWERS[id(NEGATIVE)]
    assert torch.equal(prediction, negative + 7.5 * (positive - negative))
    assert network.asked == [(NEGATIVE, POSITIVE)], "one call for both, the negative first"


def test_no_negative_prompt_is_the_empty_one() -> None:
    assert guided(cfg(7.5), negative=None)[1].asked == [(EMPTY, POSITIVE)]


def test_a_scale_of_one_asks_only_the_positive() -> None:
    prediction, network = guided(ClassifierFree(1.0, rescale=0.7))
    assert torch.equal(prediction, ANSWERS[id(POSITIVE)])
    assert network.asked == [(POSITIVE,)]


def test_a_scale_of_one_encodes_no_empty_prompt() -> None:
    def encode_empty() -> Conditioning:
        raise AssertionError("the empty prompt was encoded")

    guide = cfg(1).begin(Conditions(POSITIVE, None, encode_empty))
    guide(Network(), torch.zeros(2, 4, 8, 8), Step(0, 1, torch.tensor(999), 14.6))


def test_full_rescaling_gives_the_contrast_of_the_positive() -> None:
    spread = guided(cfg(7.5, 1.0))[0].flatten(1).std(dim=1)
    assert torch.allclose(spread, ANSWERS[id(POSITIVE)].flatten(1).std(dim=1))


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_a_step_foresees_the_finished_latent(kind: str) -> None:
    x0, noise = ANSWERS[id(POSITIVE)], ANSWERS[id(NEGATIVE)]
    sigma = 1.7
    scale = (1 + sigma**2) ** 0.5
    sample = (x0 + sigma * noise) / scale
    prediction = {"epsilon": noise, "v_prediction": (noise - sigma * x0) / scale, "sample": x0}[kind]
    foreseen = Step(0, 1, torch.tensor(500), sigma, kind).denoised(sample, prediction)
    assert torch.allclose(foreseen, x0, atol=1e-5)
