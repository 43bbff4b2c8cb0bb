"""Negative-Away Steer Attention (SNOOPI, Nguyen et al., 2024, https://arxiv.org/abs/2412.02687).

In each attention to the prompt what the picture sees of the negative prompt is taken away from what it sees of the
positive one:

Z = Z+ - alpha Z-

With a negative prompt that is the positive one, (1 - alpha) Z+ is left: it is no extrapolation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from ...graph.node import node
from ..types import Conditioning, Guidance
from .negative_attention import NegativeAttention

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class SteerAway(NegativeAttention):
    """alpha of the formula."""

    method: ClassVar[str] = "NASA"

    alpha: float

    @property
    def neutral(self) -> bool:
        return not self.alpha

    def combined(self, z_positive: Tensor, z_negative: Tensor) -> Tensor:
        return steered(z_positive, z_negative, self.alpha)


def steered(z_positive: Tensor, z_negative: Tensor, alpha: float) -> Tensor:
    """Z of the formula, of Z+ and Z- (B, N, C)."""
    return z_positive - alpha * z_negative


@node(title="NASA")
def nasa(
    guidance: Guidance | None = None,
    negative: Conditioning | None = None,
    alpha: Annotated[
        float, Field(ge=0, le=1, description="0: not; the authors take 0.1 for SD 1.5, 0.2 for 2.1, 0.5 for PixArt")
    ] = 0.1,
) -> Guidance:
    """Give a one-step model a negative prompt, inside of its attention to the prompt.

    Alone it evaluates one branch a step. Around another guidance it changes the positive branch alone, and is the
    outermost one. Without `negative` it keeps away from the negative prompt of the run. For UNets and PixArt.
    https://arxiv.org/abs/2412.02687
    """
    return SteerAway(guidance, negative, 1.0, alpha)
