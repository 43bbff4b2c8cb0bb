from __future__ import annotations

import pytest
import torch
from toy import EMPTY, NEGATIVE, OTHERS, POSITIVE, walk

from latentloom.graph.node import NodeError
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.guidance.multi_condition import coefficients, multi_condition

LEVELS = (OTHERS[0], OTHERS[1], EMPTY)


def test_weights_of_one_leave_the_fullest_condition() -> None:
    walked, network = walk(multi_condition(LEVELS, [1.0, 1.0, 1.0]))
    assert torch.equal(walked[-1], walk(cfg(1))[0][-1])
    assert network.calls == 20


def test_one_level_is_plain_guidance() -> None:
    walked, network = walk(multi_condition((NEGATIVE,), [7.5]))
    assert torch.allclose(walked[-1], walk(cfg(7.5))[0][-1], rtol=0, atol=1e-11)
    assert network.asked[0] == (NEGATIVE, POSITIVE)


def test_the_differences_are_weighed() -> None:
    terms = coefficients((5.5, 5.0, 2.0))
    a, b, c, d = 1.0, 10.0, 100.0, 1000.0
    weighed = sum(term * value for term, value in zip(terms, (a, b, c, d), strict=True))
    assert weighed == pytest.approx(5.5 * (a - b) + 5.0 * (b - c) + 2.0 * (c - d) + d)


def test_a_level_that_cancels_out_is_not_evaluated() -> None:
    network = walk(multi_condition(LEVELS, [4.0, 4.0, 2.0]))[1]
    assert network.asked == [(EMPTY, OTHERS[1], POSITIVE)] * 20


def test_all_levels_cost_a_call_each() -> None:
    assert walk(multi_condition(LEVELS, [5.0, 4.0, 3.0]))[1].calls == (len(LEVELS) + 1) * 20


def test_the_weights_change_at_the_switch() -> None:
    """The toy's timesteps are 999, 949, ...; one of them lies above 980."""
    switching = multi_condition(LEVELS, [1.0, 1.0, 1.0], [5.0, 4.0, 3.0], switch=980)
    network = walk(switching)[1]
    assert [len(branches) for branches in network.asked] == [4] + [1] * 19
    early_only = walk(multi_condition(LEVELS, [5.0, 4.0, 3.0]))[0]
    assert torch.equal(walk(switching)[0][0], early_only[0])


def test_a_switch_at_the_end_leaves_the_late_weights() -> None:
    late = walk(multi_condition(LEVELS, [2.0, 3.0, 4.0]))[0][-1]
    assert torch.equal(walk(multi_condition(LEVELS, [2.0, 3.0, 4.0], [9.0, 8.0, 7.0], switch=1000))[0][-1], late)


def test_there_is_a_weight_for_each_level() -> None:
    with pytest.raises(NodeError, match=r"late has 1 weights for 3 levels.*early has 2 weights for 3 levels"):
        multi_condition(LEVELS, [1.0], [1.0, 2.0])
