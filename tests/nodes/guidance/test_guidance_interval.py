from __future__ import annotations

import pytest
import torch
from toy import SIGMAS, walk

from latentloom.graph.node import NodeError
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.guidance.guidance_interval import guidance_interval


def test_an_interval_of_all_levels_is_the_guidance_itself() -> None:
    inside, network = walk(guidance_interval(cfg(7.5), 0, 10000))
    assert torch.equal(inside[-1], walk(cfg(7.5))[0][-1])
    assert network.calls == 2 * len(SIGMAS)


def test_an_interval_of_no_level_is_the_positive_alone() -> None:
    inside, network = walk(guidance_interval(cfg(7.5), 100, 200))
    assert torch.equal(inside[-1], walk(cfg(1))[0][-1])
    assert network.calls == len(SIGMAS)


@pytest.mark.parametrize(("low", "high"), [(0.28, 5.42), (SIGMAS[10], SIGMAS[3]), (2.0, 14.6)])
def test_calls_are_the_steps_and_those_inside(low: float, high: float) -> None:
    """The lower end lies outside, the upper inside."""
    network = walk(guidance_interval(cfg(7.5), low, high))[1]
    assert network.calls == len(SIGMAS) + sum(low < sigma <= high for sigma in SIGMAS)


def test_it_is_what_a_loop_written_out_gives() -> None:
    from toy import NEGATIVE, POSITIVE, Network, start, steps

    network, sample = Network(), start()
    for step in steps():
        positive = network.answer(sample, step.timestep, POSITIVE)
        if 1 < step.sigma <= 8:
            negative = network.answer(sample, step.timestep, NEGATIVE)
            positive = negative + 3 * (positive - negative)
        sample = sample - 0.05 * positive
    assert torch.equal(walk(guidance_interval(cfg(3), 1, 8))[0][-1], sample)


def test_an_empty_interval_is_refused() -> None:
    with pytest.raises(NodeError, match=r"5 is not below sigma_high 0\.3"):
        guidance_interval(cfg(), 5, 0.3)
