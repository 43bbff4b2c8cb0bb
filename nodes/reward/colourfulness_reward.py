"""Colourfulness (Hasler and Süsstrunk, 2003, https://doi.org/10.1117/12.477378), for which no prompt is looked at.

rg = R - G,   yb = (R + G) / 2 - B,   over the pixels of a picture, from 0 to 255:

M = sqrt(sd(rg)² + sd(yb)²) + 0.3 sqrt(mean(rg)² + mean(yb)²)

The authors' observers called 15 slightly, 33 moderately, 59 quite and 109 extremely colourful.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...graph.node import node
from ..types import Reward

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Colourfulness(Reward):
    """M of the formula, over 100."""

    def begin(self, texts: tuple[str, ...]) -> Callable[[Tensor], Tensor]:
        return colourfulness


def colourfulness(pixels: Tensor) -> Tensor:
    """M / 100 (B,) of pixels (B, 3, H, W) in [0, 1]."""
    red, green, blue = (2.55 * pixels.float()).flatten(2).unbind(1)
    opponents = (red - green, (red + green) / 2 - blue)
    spread = sum(each.var(1, correction=0) for each in opponents)
    shift = sum(each.mean(1).square() for each in opponents)
    return spread.sqrt() + 0.3 * shift.sqrt()  # pyright: ignore[reportAttributeAccessIssue]


@node
def colourfulness_reward() -> Reward:
    """Score pictures by how colourful people would call them: 0.15 is slightly, 0.59 quite, 1.09 extremely.

    Takes any prompt, as it looks at none. https://doi.org/10.1117/12.477378
    """
    return Colourfulness()
