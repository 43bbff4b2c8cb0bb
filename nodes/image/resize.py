"""Give an image another size with Pillow's filters, in floating point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from PIL import Image as Pillow
from PIL import ImageColor
from pydantic import Field

from ...graph.node import node
from ..types import Image
from .pixels import Colour, refuse_too_many

if TYPE_CHECKING:
    from torch import Tensor

Mode = Literal["stretch", "cover", "contain"]
Filter = Literal["lanczos", "bicubic", "hamming", "bilinear", "box", "nearest"]
Side = Annotated[int, Field(ge=0, le=16384)]

_FILTERS: dict[str, Pillow.Resampling] = {each.name.lower(): each for each in Pillow.Resampling}


@node
def resize(
    image: Image,
    width: Annotated[Side, Field(description="pixels; 0: from the height, in the image's proportions")] = 512,
    height: Annotated[Side, Field(description="pixels; 0: from the width, in the image's proportions")] = 512,
    mode: Annotated[Mode, Field(description="when the proportions differ")] = "cover",
    filter: Annotated[Filter, Field(description="how new pixels are made of old ones")] = "lanczos",  # noqa: A002
    background: Annotated[Colour, Field(description="fills the rest when the mode is contain")] = "white",
) -> Image:
    """Give an image another size.

    `stretch` distorts it to the new proportions, `cover` fills the new size and cuts off what stands out on both
    sides, `contain` shows all of it and fills the rest with `background`. With width and height 0 the image stays as
    it is, and so it does, to the bit, when it has the size already.
    """
    import torch

    _, _, old_height, old_width = image.pixels.shape
    width, height = _size(old_width, old_height, width, height)
    if (width, height) == (old_width, old_height):
        return image
    refuse_too_many(len(image.pixels), height, width)
    if mode == "stretch":
        return Image(_resampled(image.pixels, width, height, filter))
    if mode == "cover":
        kept_width = min(old_width, old_height * width / height)
        kept_height = min(old_height, old_width * height / width)
        left, top = (old_width - kept_width) / 2, (old_height - kept_height) / 2
        box = (left, top, left + kept_width, top + kept_height)
        return Image(_resampled(image.pixels, width, height, filter, box))
    inner_width = max(1, min(width, round(old_width * height / old_height)))
    inner_height = max(1, min(height, round(old_height * width / old_width)))
    left, top = (width - inner_width) // 2, (height - inner_height) // 2
    colour = torch.tensor(ImageColor.getrgb(background)[:3], dtype=torch.float32) / 255
    pixels = colour.view(1, 3, 1, 1).repeat(image.pixels.shape[0], 1, height, width)
    inner = _resampled(image.pixels, inner_width, inner_height, filter)
    pixels[:, :, top : top + inner_height, left : left + inner_width] = inner
    return Image(pixels)


def _size(old_width: int, old_height: int, width: int, height: int) -> tuple[int, int]:
    if not width and not height:
        return old_width, old_height
    if not width:
        width = max(1, round(height * old_width / old_height))
    if not height:
        height = max(1, round(width * old_height / old_width))
    return width, height


def _resampled(
    pixels: Tensor,
    width: int,
    height: int,
    filter: str,  # noqa: A002
    box: tuple[float, float, float, float] | None = None,
) -> Tensor:
    """(B, 3, height, width) of the part `box` of `pixels`; channel by channel, since Pillow's float mode has one."""
    import numpy as np
    import torch

    planes = pixels.flatten(0, 1).numpy()
    resized = [
        np.asarray(Pillow.fromarray(plane).resize((width, height), _FILTERS[filter], box=box)) for plane in planes
    ]
    return torch.from_numpy(np.stack(resized)).clamp(0, 1).unflatten(0, pixels.shape[:2])
