"""Normalized Attention Guidance (Chen et al., 2025, https://arxiv.org/abs/2505.21179).

In each attention to the prompt, from what the picture sees of the positive and of the negative prompt, token by token:

Z~ = s Z+ - (s - 1) Z-,    R = |Z~|_1 / |Z+|_1,    Z^ = Z~ min(R, tau) / R,    Z = alpha Z^ + (1 - alpha) Z+

What is far off is brought back to tau times the length, so that |Z|_1 <= (alpha tau + 1 - alpha) |Z+|_1: 1.375 times at
most with the defaults. On a GPU one kernel does both attentions to the prompt and all of this
(`kernels/nag_attention`); elsewhere, and where picture and prompt are one sequence, one follows the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from ...graph.node import node
from ..types import Conditioning, Guidance
from .negative_attention import NegativeAttention

if TYPE_CHECKING:
    from torch import Tensor

    from .attended import Together


@dataclass(frozen=True, eq=False)
class NormalizedAttention(NegativeAttention):
    """s, tau and alpha of the formula."""

    method: ClassVar[str] = "NAG"
    joint: ClassVar[bool] = True

    scale: float
    tau: float
    alpha: float

    @property
    def neutral(self) -> bool:
        return self.scale == 1 or not self.alpha or not self.stop

    def combined(self, z_positive: Tensor, z_negative: Tensor) -> Tensor:
        return normalized(z_positive, z_negative, self.scale, self.tau, self.alpha)

    @property
    def together(self) -> Together:
        from ...kernels.attention import attend_guided
        from ..models.attentions import tell

        def at_once(
            q: Tensor,
            k: Tensor,
            v: Tensor,
            k_negative: Tensor,
            v_negative: Tensor,
            bias: Tensor | None,
            bias_negative: Tensor | None,
        ) -> Tensor:
            how: Any = {"guidance": self.scale, "tau": self.tau, "alpha": self.alpha}
            found = attend_guided(q, k, v, k_negative, v_negative, bias=bias, bias_negative=bias_negative, **how)
            tell(found.choice)
            return found.out

        return at_once


def normalized(z_positive: Tensor, z_negative: Tensor, scale: float, tau: float, alpha: float) -> Tensor:
    """Z of the formula, of Z+ and Z- (B, N, C), in their dtype; computed in float32 at least."""
    from ...kernels.nag_attention.reference import guided

    return guided(z_positive[:, None], z_negative[:, None], scale, tau, alpha)[:, 0]


@node(title="NAG")
def nag(
    guidance: Guidance | None = None,
    negative: Conditioning | None = None,
    scale: Annotated[float, Field(ge=1, le=100, description="how far to move away from the negative; 1: not")] = 5.0,
    tau: Annotated[float, Field(ge=1, le=100, description="how many times as long what is seen may become")] = 2.5,
    alpha: Annotated[float, Field(ge=0, le=1, description="share of what was moved; 0: none")] = 0.25,
    stop: Annotated[float, Field(ge=0, le=1, description="share of the run after which it stops")] = 1.0,
) -> Guidance:
    """Give a few-step or guidance-distilled model a negative prompt, inside of its attention.

    Alone it evaluates one branch a step. Around another guidance it changes the positive branch alone, and is the
    outermost one. Without `negative` it keeps away from the negative prompt of the run. For UNets, PixArt, Stable
    Diffusion 3 and Flux; in the last two it costs as much as a second branch. https://arxiv.org/abs/2505.21179
    """
    return NormalizedAttention(guidance, negative, stop, scale, tau, alpha)
