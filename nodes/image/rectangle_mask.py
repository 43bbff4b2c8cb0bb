"""A mask drawn as a rectangle, so that a part of an image can be painted anew without a mask file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ...graph.node import NodeError, node
from ..types import Image, Mask

if TYPE_CHECKING:
    from torch import Tensor

Part = Annotated[float, Field(ge=0, le=1)]


@node
def rectangle_mask(
    image: Image,
    left: Annotated[Part, Field(description="left edge, as a part of the width")] = 0.25,
    top: Annotated[Part, Field(description="upper edge, as a part of the height")] = 0.25,
    right: Annotated[Part, Field(description="right edge, as a part of the width")] = 0.75,
    bottom: Annotated[Part, Field(description="lower edge, as a part of the height")] = 0.75,
    feather: Annotated[float, Field(ge=0, le=1, description="width of the soft edge, of the shorter side")] = 0.0,
    invert: Annotated[bool, Field(description="paint anew outside of the rectangle instead")] = False,
) -> Mask:
    """A mask as large as `image` that is 1 inside a rectangle.

    Over `feather` the edge goes from 0 to 1 in a straight line, half of it on either side of the rectangle's border.
    """
    import torch

    if left >= right or top >= bottom:
        raise NodeError(
            f"The rectangle is empty: left {left} must be less than right {right}, top {top} less than bottom {bottom}."
        )
    batch, _, height, width = image.pixels.shape
    across = _inside(width, left, right, feather * min(height, width))
    down = _inside(height, top, bottom, feather * min(height, width))
    values = torch.minimum(down[:, None], across[None, :]).expand(batch, 1, height, width)
    return Mask((1 - values if invert else values).contiguous())


def _inside(size: int, start: float, end: float, feather: float) -> Tensor:
    """(size,) 1 between `start` and `end`, parts of `size`, with a ramp of `feather` pixels at each."""
    import torch

    centres = torch.arange(size, dtype=torch.float32) + 0.5
    distance = torch.minimum(centres - start * size, end * size - centres)
    return (distance / feather + 0.5).clamp(0, 1) if feather > 0 else (distance >= 0).float()
