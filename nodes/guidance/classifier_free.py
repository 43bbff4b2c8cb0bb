"""Classifier-free guidance (Ho and Salimans, 2022, https://arxiv.org/abs/2207.12598) and its rescaling
(Lin et al., 2023, https://arxiv.org/abs/2305.08891).

e = e_u + w (e_c - e_u)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..models.family import Predict
from ..types import Guidance
from .guide import Conditions, Guide, Step

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ClassifierFree(Guidance):
    """negative + scale·(positive − negative), its contrast pulled back to the positive's by `rescale`."""

    by_picture: ClassVar[bool] = True

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
