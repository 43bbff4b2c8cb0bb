"""ReNO's ascent: the noise is moved along the gradient of a reward, and kept near the sphere where noise lies.

For noise e of d numbers, in float32,

    loss = -reward(e) + w K(e),     K(e) = |e|² / 2 - (d - 1) log |e|,

K being the negative logarithm of the density of |e|, the chi distribution of d degrees of freedom: least at
|e| = sqrt(d - 1). The gradient of all of e is clipped to a norm, then stochastic gradient descent with Nesterov's
momentum takes a step. What is kept is the iterate of the highest reward, K aside. The last iterate is scored, and no
gradient taken of it: n iterations are n evaluations and n - 1 gradients.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ...graph.node import NodeError


@dataclass(frozen=True)
class Ascent:
    """How the noise is moved. It ends before all `iterations` once a reward is at least `good_enough`."""

    iterations: int
    rate: float = 5.0
    momentum: float = 0.9
    clip: float = 0.1
    regularisation: float = 0.01
    good_enough: float | None = None

    def run(
        self,
        start: Tensor,
        evaluate: Callable[[Tensor], Tensor],
        trial: Callable[[], AbstractContextManager[None]] = nullcontext,
        tell: Callable[[float], None] = lambda reward: None,
    ) -> Climb:
        """The ascent from noise `start` (1, C, h, w) by what `evaluate` gives: its reward (1,), with gradients where
        the noise asks for them. `trial` is around each iteration; `tell` hears each reward.

        Raises `NodeError` for a reward through which no gradient flows.
        """
        noise = start.clone().requires_grad_()
        descent = torch.optim.SGD([noise], self.rate, self.momentum, nesterov=self.momentum > 0)
        climb = Climb(start)
        for iteration in range(self.iterations):
            last = iteration == self.iterations - 1
            with trial():
                reward = evaluate(noise.detach() if last else noise)
                climb.see(noise, reward.item())
                enough = self.good_enough is not None and climb.rewards[-1] >= self.good_enough
                if not (last or enough):
                    noise.grad = self.gradient(noise, reward)
                    climb.gradients += 1
            tell(climb.rewards[-1])
            if enough:
                climb.ended = "good enough"
            elif not last and noise.grad is not None and not noise.grad.isfinite().all():
                climb.ended = "the gradient was not finite"
            elif not last:
                descent.step()
                continue
            break
        return climb

    def gradient(self, noise: Tensor, reward: Tensor) -> Tensor:
        """Of the loss, clipped."""
        if not reward.requires_grad:
            raise NodeError(
                "No gradient flows from this reward to the picture, so that there is no way to climb it; take a reward "
                "that is computed from the pixels by differentiable steps, or best_of_noises, which needs no gradient."
            )
        loss = -reward.float().sum() + self.regularisation * length(noise)
        try:
            (gradient,) = torch.autograd.grad(loss, [noise])
        except RuntimeError as error:
            if "modified by an inplace operation" not in str(error):
                raise
            raise NodeError(
                "A patch of the model changes its weights from step to step, so that the gradient of an earlier step "
                "is lost; take one step, or a LoRA with a curve beside the weights instead of fused into them."
            ) from None
        return gradient * (self.clip / (gradient.norm() + 1e-6)).clamp(max=1)


@dataclass
class Climb:
    """The `best` noise so far, the `rewards` of all iterates, how many `gradients` were taken, and why it ended."""

    best: Tensor
    rewards: list[float] = field(default_factory=list)
    gradients: int = 0
    ended: str = "all iterations done"

    def see(self, noise: Tensor, reward: float) -> None:
        """An iterate and its reward. The noise is copied: the descent changes it in place."""
        if reward > max(self.rewards, default=-math.inf):
            self.best = noise.detach().clone()
        self.rewards.append(-math.inf if math.isnan(reward) else reward)


def length(noise: Tensor) -> Tensor:
    """K of the formula, summed over noises (B, C, h, w). In float16 the square would overflow."""
    norm = torch.linalg.vector_norm(noise.float().flatten(1), dim=1)
    return (norm.square() / 2 - (noise[0].numel() - 1) * norm.log()).sum()
