"""The ascent does ReNO's arithmetic: on functions whose gradients are known."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from latentloom.graph.node import NodeError
from latentloom.nodes.optimise.ascent import Ascent, length

START = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3))
AIM = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(4))
D = START.numel()


def nearness(noise: Tensor) -> Tensor:
    return -(noise - AIM).square().flatten(1).sum(1)


def nothing(noise: Tensor) -> Tensor:
    return 0 * noise.flatten(1).sum(1)


class Seen:
    """A reward that remembers the noises it was asked for."""

    def __init__(self, reward: Callable[[Tensor], Tensor]) -> None:
        self.reward, self.noises, self.with_gradient = reward, list[Tensor](), 0

    def __call__(self, noise: Tensor) -> Tensor:
        self.noises.append(noise.detach().clone())
        self.with_gradient += noise.requires_grad
        return self.reward(noise)


def test_without_iterations_nothing_is_asked_and_nothing_changes() -> None:
    seen = Seen(nearness)
    climb = Ascent(0).run(START, seen)
    assert torch.equal(climb.best, START) and seen.noises == [] and climb.rewards == []


@pytest.mark.parametrize("iterations", [1, 2, 7])
def test_one_gradient_less_than_evaluations(iterations: int) -> None:
    seen = Seen(nearness)
    climb = Ascent(iterations).run(START, seen)
    assert len(seen.noises) == len(climb.rewards) == iterations
    assert seen.with_gradient == climb.gradients == iterations - 1
    assert torch.equal(seen.noises[0], START)
    assert (iterations > 1) or torch.equal(climb.best, START)


def test_the_best_iterate_is_kept() -> None:
    """A rate so high that it leaps over the aim."""
    seen = Seen(nearness)
    climb = Ascent(30, rate=3.0, clip=1e6).run(START, seen)
    assert climb.rewards != sorted(climb.rewards)
    assert torch.equal(climb.best, seen.noises[climb.rewards.index(max(climb.rewards))])


def test_it_climbs_and_its_last_iterate_counts() -> None:
    climb = Ascent(6).run(START, nearness)
    assert climb.rewards == sorted(climb.rewards)
    assert nearness(climb.best).item() == climb.rewards[-1] > climb.rewards[0]


def test_at_rate_zero_the_reward_stays() -> None:
    seen = Seen(nearness)
    climb = Ascent(5, rate=0.0).run(START, seen)
    assert len({*climb.rewards}) == 1
    assert all(torch.equal(noise, START) for noise in seen.noises)


def test_steps_are_those_of_nesterov() -> None:
    rate, momentum, weight = 0.01, 0.9, 0.01
    seen = Seen(nearness)
    Ascent(3, rate, momentum, clip=1e9, regularisation=weight).run(START, seen)

    def gradient(noise: Tensor) -> Tensor:
        return 2 * (noise - AIM) + weight * (1 - (D - 1) / noise.square().sum()) * noise

    first = gradient(START)
    one = START - rate * (1 + momentum) * first
    second = gradient(one)
    two = one - rate * (second + momentum * (momentum * first + second))
    torch.testing.assert_close(torch.cat(seen.noises), torch.cat([START, one, two]))


def test_the_gradient_is_clipped_to_a_norm() -> None:
    seen = Seen(nearness)
    Ascent(3, rate=5.0, momentum=0.9, clip=0.1).run(START, seen)
    first, second = (
        (after - before).norm().item() for before, after in zip(seen.noises, seen.noises[1:], strict=False)
    )
    assert first == pytest.approx(5 * 0.1 * 1.9, rel=1e-4)
    assert second < 5 * 0.1 * (1 + 0.9 + 0.9**2) + 1e-4


def test_a_small_gradient_is_not_enlarged() -> None:
    seen = Seen(lambda noise: 1e-3 * nearness(noise))
    Ascent(2, rate=1.0, momentum=0.0, regularisation=0.0, clip=1e3).run(START, seen)
    torch.testing.assert_close(seen.noises[1], START - 1e-3 * 2 * (START - AIM))


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_the_regulariser_alone_drives_the_norm_to_that_of_noise(scale: float) -> None:
    seen = Seen(nothing)
    climb = Ascent(400).run(scale * START, seen)
    assert seen.noises[-1].norm().item() == pytest.approx(math.sqrt(D - 1), rel=1e-4)
    assert torch.equal(climb.best, scale * START), "what is kept is chosen by the reward alone"


def test_the_regulariser_is_least_on_the_sphere_and_fits_half_precision() -> None:
    on = (START / START.norm() * math.sqrt(D - 1)).double()
    assert length(1.01 * on) > length(on) < length(0.99 * on)
    noise = on.float().requires_grad_()
    (gradient,) = torch.autograd.grad(length(noise), [noise])
    assert gradient.abs().max() < 1e-5
    assert length(300 * torch.ones(1, 4, 8, 8, dtype=torch.float16)).isfinite()
    assert length(torch.cat([START, AIM])).item() == pytest.approx((length(START) + length(AIM)).item(), rel=1e-6)


def test_it_stops_when_good_enough() -> None:
    whole = Ascent(20).run(START, nearness)
    climb = Ascent(20, good_enough=whole.rewards[7]).run(START, nearness)
    assert climb.rewards == whole.rewards[:8]
    assert (climb.gradients, climb.ended) == (7, "good enough")
    assert nearness(climb.best).item() == whole.rewards[7]


def test_a_gradient_that_is_not_finite_ends_it() -> None:
    climb = Ascent(9).run(START, lambda noise: nearness(noise) + nothing(noise).sqrt())
    assert (len(climb.rewards), climb.ended) == (1, "the gradient was not finite")
    assert torch.equal(climb.best, START)


def test_a_reward_without_gradient_is_refused() -> None:
    with pytest.raises(NodeError, match="No gradient flows"):
        Ascent(2).run(START, lambda noise: nearness(noise.detach()))
    assert Ascent(1).run(START, lambda noise: nearness(noise.detach())).gradients == 0


def test_what_it_is_given_stays_as_it_is() -> None:
    given = START.clone()
    Ascent(3).run(given, nearness)
    assert torch.equal(given, START) and not given.requires_grad
