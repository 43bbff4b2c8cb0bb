from __future__ import annotations

import pytest
import torch
from toy import EMPTY, NEGATIVE, OTHERS, POSITIVE, walk

from latentloom.nodes.guidance.branches import inner
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.guidance.perp_neg import combined, perp_neg


def pictures(count: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(2, 4, 8, 8, generator=generator, dtype=torch.float64) for _ in range(count)]


def test_a_weight_of_nothing_is_plain_guidance_from_the_empty_prompt() -> None:
    walked, network = walk(perp_neg((NEGATIVE,), 7.5, 0.0))
    assert torch.equal(walked[-1], walk(cfg(7.5), negative=None)[0][-1])
    assert network.calls == 2 * 20


def test_each_negative_costs_a_call_a_step() -> None:
    network = walk(perp_neg((NEGATIVE, *OTHERS), 7.5, 1.0))[1]
    assert network.asked == [(EMPTY, POSITIVE, NEGATIVE, *OTHERS)] * 20
    assert network.calls == (2 + 1 + len(OTHERS)) * 20


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("weight", [0.5, 1.5, 10.0])
def test_nothing_changes_along_the_prompt(weight: float, adaptive: bool) -> None:
    empty, positive, *negatives = pictures(4)
    guided = combined(empty, positive, negatives, 7.5, weight, adaptive)
    direction = positive - empty
    assert torch.allclose(inner(guided - empty, direction), 7.5 * inner(direction, direction), rtol=1e-10)
    assert not torch.allclose(guided, empty + 7.5 * direction)


def test_a_negative_along_the_prompt_does_nothing() -> None:
    empty, positive = pictures(2)
    guided = combined(empty, positive, [empty + 2 * (positive - empty)], 7.5, 1.5)
    assert torch.allclose(guided, empty + 7.5 * (positive - empty), rtol=0, atol=1e-11)


def test_the_order_of_the_negatives_does_not_matter() -> None:
    empty, positive, *negatives = pictures(5)
    forth, back = (combined(empty, positive, order, 5.0, 1.0) for order in (negatives, negatives[::-1]))
    assert torch.allclose(forth, back, rtol=0, atol=1e-12)


def test_adaptively_an_opposite_negative_counts_for_nothing() -> None:
    empty, positive, other = pictures(3)
    direction, noise = positive - empty, other - empty
    opposite = empty - direction + 1e-4 * noise
    alike = empty + direction + 1e-4 * noise

    def effect(negative: torch.Tensor) -> float:
        return float((combined(empty, positive, [negative], 1.0, 1.0, adaptive=True) - positive).norm())

    assert effect(opposite) < 1e-6 * effect(alike)
