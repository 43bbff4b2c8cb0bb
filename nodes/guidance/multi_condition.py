"""Guidance by several conditions, each with a weight of its own, which change at a step (HuMo, Chen et al., 2025,
https://arxiv.org/abs/2509.08519, equation of time-adaptive guidance).

Conditions c_1, ..., c_n stand one inside the other, from the fullest to the least, and c_0 is the positive one:

e = sum_i w_i (e(c_{i-1}) - e(c_i)) + e(c_n)

With all weights 1 the sum telescopes to e(c_0). A level whose weight equals the next one's cancels out, and is not
evaluated. The weights are `early` while the timestep t > switch, and `late` from there on. HuMo switches at t = 980 of
1000, with 5.5 for the sound and 5 for the text.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ...graph.node import NodeError, node
from ..models.family import Predict
from ..types import Conditioning, Guidance
from .guide import Conditions, Guide, Step

if TYPE_CHECKING:
    from torch import Tensor

Weights = Annotated[list[Annotated[float, Field(ge=0, le=100)]], Field(min_length=1, max_length=8)]


@dataclass(frozen=True, eq=False)
class Nested(Guidance):
    """The sum of the formula: `early` weights while the timestep is above `switch`, then `late` ones."""

    levels: tuple[Conditioning, ...]
    early: tuple[float, ...]
    late: tuple[float, ...]
    switch: float

    def begin(self, conditions: Conditions) -> Guide:
        levels = (conditions.positive, *self.levels)

        def guide(predict: Predict, sample: Tensor, step: Step) -> Tensor:
            terms = coefficients(self.early if float(step.timestep) > self.switch else self.late)
            asked = [(level, term) for level, term in zip(levels, terms, strict=True) if term]
            # The least condition first: the order of the stock pipelines.
            predictions = predict(sample, step.timestep, [level for level, _ in reversed(asked)])
            if asked == [(levels[0], 1.0)]:
                return predictions[0]
            weighted = [term * each for (_, term), each in zip(reversed(asked), predictions, strict=True)]
            return sum(weighted[1:], start=weighted[0])

        return guide


def coefficients(weights: tuple[float, ...]) -> tuple[float, ...]:
    """What each prediction e(c_0), ..., e(c_n) is multiplied with in the sum; they add up to 1."""
    padded = (0.0, *weights, 1.0)
    return tuple(after - before for before, after in pairwise(padded))


@node
def multi_condition(
    levels: tuple[Conditioning, ...],
    late: Annotated[Weights, Field(description="a weight for each level, after the switch")] = [7.5],  # noqa: B006
    early: Annotated[
        list[Annotated[float, Field(ge=0, le=100)]],
        Field(max_length=8, description="weights before the switch; none: as after it"),
    ] = [],  # noqa: B006
    switch: Annotated[
        float, Field(ge=0, le=1000, description="timestep, of 1000, above which the early weights hold")
    ] = 1000.0,
) -> Guidance:
    """Guide by several prompts that each say less than the one before, each difference with a weight of its own.

    `positive` of `denoise` is the fullest; wire here what says less, down to the empty prompt. The first weight
    strengthens what the positive says beyond the first level, the second what the first says beyond the second, and so
    on. With one level, the empty prompt, it is classifier-free guidance. https://arxiv.org/abs/2509.08519
    """
    problems = [
        f"{name} has {len(weights)} weights for {len(levels)} levels; give one for each."
        for name, weights in (("late", late), ("early", early))
        if len(weights) != len(levels) and (weights or name == "late")
    ]
    if problems:
        raise NodeError(" ".join(problems))
    return Nested(levels, tuple(early) or tuple(late), tuple(late), switch)
