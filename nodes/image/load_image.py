"""Open a picture file as an image."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...graph.files import Files, Reads
from ...graph.node import node
from ..types import Image
from .pixels import Colour, open_picture, over, to_tensor


@node
def load_image(
    path: Annotated[str, Reads("input"), Field(description="a picture in the input folders, such as cat.png")],
    background: Annotated[Colour, Field(description="shows where the picture is transparent")] = "white",
    *,
    files: Files,
) -> Image:
    """Open a picture file as an image of one.

    Takes PNG, JPEG, WebP, GIF, BMP and TIFF. The picture is turned upright as its camera noted, transparent parts are
    laid over `background`, and of an animation the first frame is taken.
    """
    return Image(to_tensor(over(open_picture(files.find(path, "input")), background)))
