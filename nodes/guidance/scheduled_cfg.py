"""Classifier-free guidance whose scale follows a curve over the run.

scale(u) is drawn through points (u, scale) by straight lines, u the share of the run that is done: 0 at the first step,
1 at the last. What falls or rises over the run is known to beat one scale for all steps (Wang et al., 2024,
https://arxiv.org/abs/2404.13040: monotonically increasing schedules).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from ...graph.node import NodeError, node
from ..models.family import Predict
from ..types import Guidance
from .classifier_free import ClassifierFree
from .guide import Conditions, Guide, Step

if TYPE_CHECKING:
    from torch import Tensor

Point = tuple[
    Annotated[float, Field(ge=0, le=1, description="share of the run")],
    Annotated[float, Field(ge=1, le=100, description="scale")],
]


@dataclass(frozen=True)
class Scheduled(Guidance):
    """Classifier-free guidance of the scale `curve` has at each step; `curve` is sorted by its first coordinate."""

    by_picture: ClassVar[bool] = True

    curve: tuple[tuple[float, float], ...]
    rescale: float = 0.0

    def begin(self, conditions: Conditions) -> Guide:
        def guide(predict: Predict, sample: Tensor, step: Step) -> Tensor:
            done = step.index / max(1, step.total - 1)
            return ClassifierFree(height(self.curve, done), self.rescale).begin(conditions)(predict, sample, step)

        return guide


def height(curve: tuple[tuple[float, float], ...], at: float) -> float:
    """The curve's height at `at`: straight between its points, level before the first and after the last."""
    after = bisect_right(curve, at, key=lambda point: point[0])
    if after in (0, len(curve)):
        return curve[min(after, len(curve) - 1)][1]
    (x0, y0), (x1, y1) = curve[after - 1], curve[after]
    return y0 + (y1 - y0) * (at - x0) / (x1 - x0)


@node
def scheduled_cfg(
    points: Annotated[
        list[Point],
        Field(
            min_length=1,
            max_length=100,
            description="points (share of the run, scale) the curve goes through",
            json_schema_extra={"format": "curve"},
        ),
    ] = [(0.0, 1.0), (0.3, 7.5), (1.0, 7.5)],  # noqa: B006 - never changed
    rescale: Annotated[
        float, Field(ge=0, le=1, description="share of the contrast guidance adds that is taken back")
    ] = 0.0,
) -> Guidance:
    """Follow the prompt more or less closely as the run goes on, by a curve drawn through points.

    Where the curve lies at 1 only the positive branch is evaluated. One point is plain classifier-free guidance.
    https://arxiv.org/abs/2404.13040
    """
    curve = tuple(sorted((at, scale) for at, scale in points))
    if doubled := [at for (at, _), (following, _) in pairwise(curve) if at == following]:
        raise NodeError(f"The curve has two points at {doubled[0]:g}; a curve has one height at each place.")
    return Scheduled(curve, rescale)
