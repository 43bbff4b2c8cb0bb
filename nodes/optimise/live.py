"""What is shown while noise is being optimised: the picture, and under it the curve of the rewards so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..types import Image


def view(pixels: Tensor, rewards: Sequence[float]) -> Callable[[], Image]:
    """A preview of `pixels` (1, 3, H, W) over the curve, a quarter as high."""
    pixels, rewards = pixels.detach(), tuple(rewards)

    def show() -> Image:
        height, width = pixels.shape[-2:]
        return Image(torch.cat([pixels, curve(rewards, max(8, height // 4), width).expand(1, 3, -1, -1)], dim=2))

    return show


def curve(values: Sequence[float], height: int, width: int) -> Tensor:
    """`values` from left to right and from least to most as a black line on white, (height, width)."""
    points = interpolate(torch.tensor([[values]]), size=width, mode="linear", align_corners=True)[0, 0]
    spread = (points.max() - points.min()).clamp_min(1e-12)
    heights = (points.max() - points) / spread * (height - 1)  # (width,) rows, the first is the top
    before = torch.cat([heights[:1], heights[:-1]])
    rows = torch.arange(height)[:, None]
    line = (rows >= torch.minimum(heights, before) - 0.5) & (rows <= torch.maximum(heights, before) + 0.5)
    return 1 - line.float()
