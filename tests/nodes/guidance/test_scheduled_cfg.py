from __future__ import annotations

import pytest
import torch
from toy import NEGATIVE, POSITIVE, Network, start, steps, walk

from latentloom.graph.node import NodeError
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.guidance.scheduled_cfg import height, scheduled_cfg


@pytest.mark.parametrize("points", [[(0.0, 7.5)], [(0.0, 7.5), (1.0, 7.5)], [(0.4, 7.5)]])
def test_a_level_curve_is_plain_guidance(points: list[tuple[float, float]]) -> None:
    assert torch.equal(walk(scheduled_cfg(points, 0.7))[0][-1], walk(cfg(7.5, 0.7))[0][-1])


def test_the_curve_is_straight_between_its_points() -> None:
    curve = ((0.2, 1.0), (0.6, 5.0), (0.8, 2.0))
    given = [height(curve, at) for at in (0, 0.2, 0.3, 0.6, 0.7, 0.8, 1)]
    assert given == pytest.approx([1, 1, 2, 5, 3.5, 2, 2])


def test_where_the_curve_lies_at_one_nothing_is_paid() -> None:
    network = walk(scheduled_cfg([(0.5, 1.0), (0.51, 6.0)]))[1]
    guided = sum(step.index / 19 > 0.5 for step in steps())
    assert network.calls == 20 + guided


def test_it_is_what_a_loop_written_out_gives() -> None:
    network, sample = Network(), start()
    for step in steps():
        scale = 2 + 6 * step.index / 19
        negative = network.answer(sample, step.timestep, NEGATIVE)
        sample = sample - 0.05 * (negative + scale * (network.answer(sample, step.timestep, POSITIVE) - negative))
    assert torch.allclose(walk(scheduled_cfg([(1.0, 8.0), (0.0, 2.0)]))[0][-1], sample, rtol=0, atol=1e-12)


def test_two_heights_at_one_place_are_refused() -> None:
    with pytest.raises(NodeError, match=r"two points at 0\.5"):
        scheduled_cfg([(0.5, 1.0), (0.5, 3.0)])
