"""Perp-Neg: only what of a negative prompt is perpendicular to the positive one (Armandpour et al., 2023,
https://arxiv.org/abs/2304.04968), with an adaptive weight after Instant3D (Li et al., 2023,
https://arxiv.org/abs/2311.08403).

d_p = e_p - e_u,  d_i = e_i - e_u,  d_i' = d_i - <d_i, d_p> / max(|d_p|^2, 1e-6) d_p    image by image
e = e_u + w (d_p - sum_i w_i d_i')

e_u is the empty prompt's prediction. Along d_p nothing changes, whatever the negatives: <e - e_u, d_p> = w |d_p|^2.

Adaptive: w_i (1 + cos(d_p, d_i)) / 2 in place of w_i, so that a negative counts the more, the more it pulls where the
prompt pulls. Instant3D weighs by how alike rendered views look to CLIP; taking the predictions themselves is our
adaptation to two dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ...graph.node import node
from ..models.family import Predict
from ..types import Conditioning, Guidance
from .branches import cosine, inner, per_image
from .guide import Conditions, Guide, Step

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class PerpendicularNegatives(Guidance):
    """Classifier-free guidance of `scale` with `negatives`, each of `weight`, made perpendicular."""

    negatives: tuple[Conditioning, ...]
    scale: float = 7.5
    weight: float = 1.0
    adaptive: bool = False

    def begin(self, conditions: Conditions) -> Guide:
        branches = (conditions.empty, conditions.positive, *(self.negatives if self.weight else ()))

        def guide(predict: Predict, sample: Tensor, step: Step) -> Tensor:
            empty, positive, *negatives = predict(sample, step.timestep, branches)
            if not negatives:  # written as classifier-free guidance writes it, to the bit
                return empty + self.scale * (positive - empty)
            return combined(empty, positive, negatives, self.scale, self.weight, self.adaptive)

        return guide


def combined(
    empty: Tensor, positive: Tensor, negatives: Sequence[Tensor], scale: float, weight: float, adaptive: bool = False
) -> Tensor:
    """e of the formula; all predictions (B, C, h, w)."""
    direction = positive - empty
    length = inner(direction, direction).clamp_min(1e-6)
    guided = direction
    for negative in negatives:
        away = negative - empty
        along = per_image(inner(away, direction) / length, away).to(away.dtype)
        share = per_image((1 + cosine(direction, away)) / 2, away).to(away.dtype) if adaptive else 1.0
        guided = guided - weight * share * (away - along * direction)
    return empty + scale * guided


@node(title="Perp-Neg")
def perp_neg(
    negatives: tuple[Conditioning, ...],
    scale: Annotated[float, Field(ge=1, le=100, description="how closely to follow the prompt")] = 7.5,
    weight: Annotated[float, Field(ge=0, le=20, description="how far to stay away from each negative")] = 1.0,
    adaptive: Annotated[
        bool, Field(description="weigh a negative by how much it pulls where the prompt pulls (our adaptation)")
    ] = False,
) -> Guidance:
    """Stay away from what is in other prompts without losing what they share with yours.

    Each negative prompt is a wire of its own and costs one evaluation a step beside the two of plain guidance; the
    negative of `denoise` is not used. https://arxiv.org/abs/2304.04968
    """
    return PerpendicularNegatives(negatives, scale, weight, adaptive)
