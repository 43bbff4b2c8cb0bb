"""A network that costs nothing, for what guidance does with its answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from latentloom.nodes.guidance.guide import Conditions, Step
from latentloom.nodes.types import Conditioning, Guidance

POSITIVE, NEGATIVE, EMPTY, *OTHERS = (Conditioning(torch.full((1, 2, 3), float(value))) for value in range(1, 7))
SIGMAS = tuple(float(sigma) for sigma in torch.linspace(14.6, 0.05, 20))


class Network:
    """A smooth function of sample, timestep and condition. `asked` remembers the branches of each call."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.weights = torch.randn(16, 16, generator=generator, dtype=torch.float64) / 8
        self.bias = {
            id(branch): torch.randn(16, generator=generator, dtype=torch.float64)
            for branch in (POSITIVE, NEGATIVE, EMPTY, *OTHERS)
        }
        self.asked: list[tuple[Conditioning, ...]] = []

    def __call__(self, sample: Tensor, timestep: Any, branches: Sequence[Conditioning]) -> tuple[Tensor, ...]:
        self.asked.append(tuple(branches))
        return tuple(self.answer(sample, timestep, branch) for branch in branches)

    def answer(self, sample: Tensor, timestep: Any, branch: Conditioning) -> Tensor:
        drift = self.bias[id(branch)] * float(timestep) / 1000
        return torch.tanh(sample.flatten(1) @ self.weights + drift).view_as(sample)

    @property
    def calls(self) -> int:
        return sum(len(branches) for branches in self.asked)


def steps(prediction_type: str = "epsilon") -> list[Step]:
    """Twenty steps from high noise to low."""
    total = len(SIGMAS)
    return [
        Step(index, total, torch.tensor(999 - index * 50), sigma, prediction_type) for index, sigma in enumerate(SIGMAS)
    ]


def start(images: int = 3) -> Tensor:
    return torch.randn(images, 4, 2, 2, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


def walk(
    guidance: Guidance, sample: Tensor | None = None, negative: Conditioning | None = NEGATIVE
) -> tuple[list[Tensor], Network]:
    """The samples after each step of a run with `guidance`, and the network that was asked."""
    network = Network()
    guide = guidance.begin(Conditions(POSITIVE, negative, lambda: EMPTY))
    sample, walked = start() if sample is None else sample, []
    for step in steps():
        sample = sample - 0.05 * guide(network, sample, step)
        walked.append(sample)
    return walked, network
