"""CFG-Zero* (Fan et al., 2025, https://arxiv.org/abs/2503.18886), by diffusers' own guider.

s = <e_c, e_u> / |e_u|^2 image by image,  e = s e_u + w (e_c - s e_u),  and e = 0 in the first steps, of a flow that is
not learned well enough there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from ...graph.node import node
from ..models.family import Predict
from ..types import Guidance
from .guide import Conditions, Guide, Step
from .library import LibraryGuidance

if TYPE_CHECKING:
    from diffusers.guiders import ClassifierFreeZeroStarGuidance
    from torch import Tensor


@dataclass(frozen=True)
class ZeroStar(LibraryGuidance):
    """w of the formula, and how many steps are left out."""

    by_picture: ClassVar[bool] = True

    scale: float
    zero_steps: int

    def guider(self) -> ClassifierFreeZeroStarGuidance:
        from diffusers.guiders import ClassifierFreeZeroStarGuidance

        return ClassifierFreeZeroStarGuidance(guidance_scale=self.scale, zero_init_steps=self.zero_steps)

    def begin(self, conditions: Conditions) -> Guide:
        import torch

        guided = super().begin(conditions)

        def guide(predict: Predict, sample: Tensor, step: Step) -> Tensor:
            if step.index < self.zero_steps:  # what the network would say is not used, so it is not asked
                return torch.zeros_like(sample)
            return guided(predict, sample, step)

        return guide


@node(title="CFG-Zero*")
def cfg_zero_star(
    scale: Annotated[float, Field(ge=1, le=100, description="how closely to follow the prompt")] = 7.5,
    zero_steps: Annotated[
        int, Field(ge=0, le=20, description="first steps that predict nothing; 1 for flow models, 0 for others")
    ] = 0,
) -> Guidance:
    """Guide from the unconditional prediction brought to the length that fits the conditional one best.

    https://arxiv.org/abs/2503.18886
    """
    return ZeroStar(scale, zero_steps)
