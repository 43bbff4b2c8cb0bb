"""Guidance in a limited interval of noise levels (Kynkäänniemi et al., 2024, https://arxiv.org/abs/2404.07724).

Guidance is harmful at high noise, where it narrows the choice of pictures, and needless at low noise, where both
branches agree: it is applied where sigma_low < sigma <= sigma_high alone; elsewhere the conditional branch stands by
itself.
sigma is noise over signal: sqrt((1 - alpha_bar) / alpha_bar) for diffusion models, t / (1 - t) for flow models.

Evaluations: N + the number of steps inside, instead of 2 N.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from ...graph.node import NodeError, node
from ..models.family import Predict
from ..types import Guidance
from .guide import Conditions, Guide, Step

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Interval(Guidance):
    """`guidance` where `low` < sigma <= `high`, elsewhere the positive branch alone."""

    by_picture: ClassVar[bool] = True

    guidance: Guidance
    low: float
    high: float

    def begin(self, conditions: Conditions) -> Guide:
        guided = self.guidance.begin(conditions)

        def guide(predict: Predict, sample: Tensor, step: Step) -> Tensor:
            if self.low < step.sigma <= self.high:
                return guided(predict, sample, step)
            return predict(sample, step.timestep, (conditions.positive,))[0]

        return guide


@node
def guidance_interval(
    guidance: Guidance,
    sigma_low: Annotated[float, Field(ge=0, le=10000, description="guide above this noise level")] = 0.28,
    sigma_high: Annotated[float, Field(ge=0, le=10000, description="guide up to this noise level")] = 5.42,
) -> Guidance:
    """Guide only at middling noise levels, which saves calls and lets higher scales be used.

    The defaults are the authors' for SDXL (with scale 16); for ImageNet at 512 pixels they give 0.19 to 1.61 (scale 2).
    A run's noise levels are in its report. https://arxiv.org/abs/2404.07724
    """
    if sigma_low >= sigma_high:
        raise NodeError(f"sigma_low {sigma_low:g} is not below sigma_high {sigma_high:g}: nothing would be guided.")
    return Interval(guidance, sigma_low, sigma_high)
