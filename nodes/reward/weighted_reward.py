"""Several rewards as one: score = sum over i of w_i score_i."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ...graph.node import NodeError, node
from ..types import Reward

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Weighted(Reward):
    """The sum of `rewards`, each times its weight. What weighs nothing is not evaluated."""

    rewards: tuple[Reward, ...]
    weights: tuple[float, ...]

    def begin(self, texts: tuple[str, ...]) -> Callable[[Tensor], Tensor]:
        weighed = [(w, reward.begin(texts)) for w, reward in zip(self.weights, self.rewards, strict=True) if w]

        def score(pixels: Tensor) -> Tensor:
            first, *others = (weight * scored(pixels) for weight, scored in weighed)
            return sum(others, first)

        return score


@node
def weighted_reward(
    rewards: tuple[Reward, ...],
    weights: Annotated[
        list[Annotated[float, Field(ge=-1000, le=1000)]],
        Field(max_length=100, description="one for each reward, in the order of the wires; empty: 1 each"),
    ] = [],  # noqa: B006
) -> Reward:
    """Add several rewards up, each as much as it weighs. A weight below 0 rewards the contrary.

    Rewards have scales of their own: score tells them.
    """
    chosen = tuple(weights) or (1.0,) * len(rewards)
    if len(chosen) != len(rewards):
        raise NodeError(f"There are {len(rewards)} rewards and {len(chosen)} weights; one each is needed.")
    if not any(chosen):
        raise NodeError("No reward weighs anything; wire one, with a weight other than 0.")
    return Weighted(rewards, chosen)
