"""Frequency-Decoupled Guidance (Sadat et al., 2025, https://arxiv.org/abs/2506.19713), by diffusers' own guider.

Both predictions are taken apart into the levels of a Laplacian pyramid, each level i is guided with a scale of its own,
and the levels are put together again:

L_i = e_u,i + w_i (e_c,i - e_u,i),      e = L_0 + up(L_1 + up(L_2 + ...))

L_0 are the finest details. Low scales at the coarse levels keep variety and colours as they should be, high ones at the
fine levels give detail. With all scales alike it is plain guidance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ...graph.node import NodeError, node
from ..models.family import Predict
from ..types import Guidance
from .guide import Conditions, Guide, Step
from .library import LibraryGuidance

if TYPE_CHECKING:
    from diffusers.guiders import FrequencyDecoupledGuidance
    from torch import Tensor


@dataclass(frozen=True)
class FrequencyDecoupled(LibraryGuidance):
    """w_i of the formula, the finest level first."""

    scales: tuple[float, ...]

    def guider(self) -> FrequencyDecoupledGuidance:
        from diffusers.guiders import FrequencyDecoupledGuidance

        # A level with a scale of 1 is not guided, and for that diffusers takes the wrong level.
        return FrequencyDecoupledGuidance([scale if scale != 1 else 1 + 1e-6 for scale in self.scales])

    def begin(self, conditions: Conditions) -> Guide:
        if all(scale == 1 for scale in self.scales):
            return lambda predict, sample, step: predict(sample, step.timestep, (conditions.positive,))[0]
        guided = super().begin(conditions)

        def guide(predict: Predict, sample: Tensor, step: Step) -> Tensor:
            height, width = sample.shape[-2:]
            # The pyramid is made of sides that are powers of two, where it has to pad.
            return guided(predict, sample, step)[..., :height, :width]

        return guide


@node(title="Frequency-decoupled guidance")
def fdg(
    scales: Annotated[
        list[Annotated[float, Field(ge=1, le=100)]],
        Field(min_length=1, max_length=6, description="of each level, the finest details first"),
    ] = [10.0, 5.0],  # noqa: B006
) -> Guidance:
    """Guide details and large shapes each with a scale of its own.

    Each further level is half as fine. Needs the package kornia. https://arxiv.org/abs/2506.19713
    """
    from importlib.util import find_spec

    if find_spec("kornia") is None:
        raise NodeError("Frequency-decoupled guidance needs the package kornia; install it with: pip install kornia")
    return FrequencyDecoupled(tuple(scales))
