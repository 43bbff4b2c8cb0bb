"""Show small pictures large, pixel by pixel."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...graph.node import node
from ..types import Image
from .pixels import enlarging, repeat_pixels


@node
def enlarge(
    image: Image,
    at_least: Annotated[int, Field(ge=1, le=4096, description="pixels of the shorter side to reach")] = 256,
) -> Image:
    """Repeat the pixels of a small image, by a whole factor, until its shorter side is `at_least` long.

    Nothing is blurred or made up; an image that is large enough stays as it is.
    """
    height, width = image.pixels.shape[-2:]
    return Image(repeat_pixels(image.pixels, enlarging(height, width, at_least)))
