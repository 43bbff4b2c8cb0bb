from __future__ import annotations

import pytest
import torch
from toy import EMPTY, NEGATIVE, POSITIVE, Network, start, steps, walk

from latentloom.nodes.guidance.adaptive_guidance import Adaptive, adaptive_guidance
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.guidance.guide import Conditions
from latentloom.nodes.guidance.perp_neg import perp_neg

STEPS = 20
SPACES = ("x0", "prediction")


def guided(network: Network) -> int:
    return sum(len(branches) > 1 for branches in network.asked)


@pytest.mark.parametrize("space", SPACES)
def test_a_threshold_of_one_is_the_guidance_itself(space: str) -> None:
    walked, network = walk(adaptive_guidance(cfg(7.5, 0.5), 1.0, space))  # pyright: ignore[reportArgumentType]
    assert torch.equal(walked[-1], walk(cfg(7.5, 0.5))[0][-1])
    assert network.calls == 2 * STEPS


@pytest.mark.parametrize("space", SPACES)
def test_a_threshold_of_minus_one_guides_once(space: str) -> None:
    assert walk(adaptive_guidance(cfg(7.5), -1.0, space))[1].calls == STEPS + 1  # pyright: ignore[reportArgumentType]


def test_a_scale_of_one_has_nothing_to_save() -> None:
    assert walk(adaptive_guidance(cfg(1), 0.5))[1].calls == STEPS


def test_once_off_it_stays_off_and_until_then_it_is_the_guidance() -> None:
    walked, network = walk(adaptive_guidance(cfg(7.5), 0.9, "prediction"), start(1))
    k = guided(network)
    assert 1 < k < STEPS, "the threshold is to fall inside the run"
    assert [len(branches) for branches in network.asked] == [2] * k + [1] * (STEPS - k)
    plain = walk(cfg(7.5), start(1))[0]
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(walked[:k], plain, strict=False))
    assert not torch.equal(walked[k], plain[k])


def test_a_higher_threshold_never_guides_shorter() -> None:
    counts = [guided(walk(adaptive_guidance(cfg(7.5), t, "prediction"))[1]) for t in (-1, 0.5, 0.8, 0.9, 0.95, 1)]
    assert counts == sorted(counts)
    assert len(set(counts)) > 3


def test_an_image_comes_out_of_a_batch_as_it_does_alone() -> None:
    guidance, batch = adaptive_guidance(cfg(7.5), 0.9, "prediction"), start(3)
    alone = [walk(guidance, batch[i : i + 1]) for i in range(3)]
    assert len({guided(network) for _, network in alone}) > 1, "the images are to stop at different steps"
    together, network = walk(guidance, batch)
    assert torch.allclose(together[-1], torch.cat([walked[-1] for walked, _ in alone]), rtol=0, atol=1e-12)
    assert guided(network) == max(guided(network) for _, network in alone)


def test_equal_branches_leave_the_positive() -> None:
    network = Network()
    network.bias |= {id(branch): network.bias[id(POSITIVE)] for branch in (NEGATIVE, EMPTY)}
    same = Conditions(POSITIVE, NEGATIVE, lambda: EMPTY)
    guide = adaptive_guidance(cfg(7.5), 0.999).begin(same)
    sample = start()
    for step in steps():
        prediction = guide(network, sample, step)
        assert torch.allclose(prediction, network.answer(sample, step.timestep, POSITIVE), rtol=0, atol=1e-12)
    assert network.calls == STEPS + 1


def test_the_spaces_differ_where_the_sample_is_nearly_noise() -> None:
    """The noise predictions lie closer together than the pictures they point at."""
    counts = {space: guided(walk(Adaptive(cfg(7.5), 0.9, space))[1]) for space in ("x0", "prediction")}
    assert counts["x0"] != counts["prediction"]


def test_it_stands_around_any_guidance() -> None:
    network = walk(adaptive_guidance(perp_neg((NEGATIVE,), 7.5, 1.0), -1.0))[1]
    assert [len(branches) for branches in network.asked] == [3] + [1] * (STEPS - 1)
