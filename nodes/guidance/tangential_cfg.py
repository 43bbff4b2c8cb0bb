"""Tangential classifier-free guidance (Kwon et al., 2025, https://arxiv.org/abs/2503.18137), by diffusers' own guider.

The two predictions span a plane; of the unconditional one only the part along the plane's first singular direction is
kept, and e = e_u' + w (e_c - e_u').
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from ...graph.node import node
from ..types import Guidance
from .library import LibraryGuidance

if TYPE_CHECKING:
    from diffusers.guiders import TangentialClassifierFreeGuidance


@dataclass(frozen=True)
class Tangential(LibraryGuidance):
    """w of the formula."""

    by_picture: ClassVar[bool] = True

    scale: float

    def guider(self) -> TangentialClassifierFreeGuidance:
        from diffusers.guiders import TangentialClassifierFreeGuidance

        return TangentialClassifierFreeGuidance(guidance_scale=self.scale)


@node
def tangential_cfg(
    scale: Annotated[float, Field(ge=1, le=100, description="how closely to follow the prompt")] = 7.5,
) -> Guidance:
    """Guide without what of the unconditional prediction points away from where both agree.

    https://arxiv.org/abs/2503.18137
    """
    return Tangential(scale)
