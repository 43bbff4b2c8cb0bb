"""Classifier-free guidance, https://arxiv.org/abs/2207.12598, and its rescaling, https://arxiv.org/abs/2305.08891."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ...graph.node import node
from ..models.family import Predict
from ..types import Guidance
from .guide import Conditions, Guide, Step

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ClassifierFree(Guidance):
    """negative + scale·(positive − negative), its contrast pulled back to the positive's by `rescale`."""

    scale: float = 7.5
    rescale: float = 0.0

    def begin(self, conditions: Conditions) -> Guide:
        def guide(predict: Predict, sample: Tensor, step: Step) -> Tensor:
            if self.scale == 1:
                return predict(sample, step.timestep, (conditions.positive,))[0]
            negative, positive = predict(sample, step.timestep, (conditions.negative, conditions.positive))
            guided = negative + self.scale * (positive - negative)
            return rescaled(guided, positive, self.rescale) if self.rescale else guided

        return guide


def rescaled(guided: Tensor, positive: Tensor, share: float) -> Tensor:
    """`guided` (B, C, h, w) brought to the standard deviation of `positive`, image by image, for `share` of it.

    Equation 16 of https://arxiv.org/abs/2305.08891, as diffusers computes it.
    """
    from diffusers.guiders.guider_utils import rescale_noise_cfg

    return rescale_noise_cfg(guided, positive, share)


@node
def cfg(
    scale: Annotated[
        float, Field(ge=1, le=100, description="how closely to follow the prompt; 1 is no guidance")
    ] = 7.5,
    rescale: Annotated[
        float, Field(ge=0, le=1, description="share of the contrast guidance adds that is taken back; 0.7 is usual")
    ] = 0.0,
) -> Guidance:
    """Follow the prompt by moving away from what the negative prompt, or no prompt, would give.

    A scale of 1 evaluates the positive branch alone, which halves the cost; the negative prompt then has no effect.
    `rescale` mends the overexposure of high scales. https://arxiv.org/abs/2207.12598, https://arxiv.org/abs/2305.08891
    """
    return ClassifierFree(scale, rescale)
