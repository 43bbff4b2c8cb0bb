"""Adaptive Projected Guidance (Sadat et al., 2024, https://arxiv.org/abs/2410.02416), by diffusers' own guider.

D = e_c - e_u,  averaged over the steps with momentum b, no longer than r, and split along e_c: D = D_par + D_orth
e = e_u + w (D_orth + eta D_par)

The parallel part is what oversaturates; eta 0 leaves it out. With eta 1, no momentum and no limit it is plain guidance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from ...graph.node import node
from ..types import Guidance
from .library import LibraryGuidance

if TYPE_CHECKING:
    from diffusers.guiders import AdaptiveProjectedGuidance


@dataclass(frozen=True)
class AdaptiveProjected(LibraryGuidance):
    """w, eta, b and r of the formula; a momentum or a limit of 0 is none."""

    by_picture: ClassVar[bool] = True

    scale: float
    eta: float
    momentum: float
    limit: float

    def guider(self) -> AdaptiveProjectedGuidance:
        from diffusers.guiders import AdaptiveProjectedGuidance
        from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer

        guider = AdaptiveProjectedGuidance(
            guidance_scale=self.scale, adaptive_projected_guidance_rescale=self.limit, eta=self.eta
        )
        if self.momentum:  # diffusers makes it at step 0, where a run from an image does not begin
            guider.momentum_buffer = MomentumBuffer(self.momentum)
        return guider


@node(title="APG")
def apg(
    scale: Annotated[float, Field(ge=1, le=100, description="how closely to follow the prompt")] = 7.5,
    eta: Annotated[float, Field(ge=0, le=2, description="share kept of what lies along the prediction")] = 0.0,
    momentum: Annotated[
        float, Field(ge=-0.99, le=0.99, description="of the difference over the steps; the authors take -0.5 to -0.75")
    ] = -0.5,
    limit: Annotated[
        float, Field(ge=0, le=1000, description="how long the difference may get; 0: as long as it is")
    ] = 15.0,
) -> Guidance:
    """Guide with high scales without oversaturating, by leaving out what only strengthens the prediction.

    https://arxiv.org/abs/2410.02416
    """
    return AdaptiveProjected(scale, eta, momentum, limit)
