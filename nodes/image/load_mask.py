"""Open one channel of a picture file as a mask."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ...graph.files import Files, Reads
from ...graph.node import NodeError, node
from ..types import Mask
from .pixels import open_picture, to_tensor

Channel = Literal["brightness", "red", "green", "blue", "alpha"]


@node
def load_mask(
    path: Annotated[str, Reads("input"), Field(description="a picture in the input folders, such as mask.png")],
    channel: Annotated[Channel, Field(description="which part of the picture is the mask")] = "brightness",
    invert: Annotated[bool, Field(description="paint anew where the channel is dark instead of bright")] = False,
    *,
    files: Files,
) -> Mask:
    """Open one channel of a picture file as a mask; where it is white, something is to be painted anew.

    `alpha` needs a picture that has transparency: where it is opaque the mask is 1.
    """
    picture = open_picture(files.find(path, "input"))
    if channel == "brightness":
        values = to_tensor(picture.convert("L"))
    elif channel == "alpha":
        if not picture.has_transparency_data:
            raise NodeError(f"{path} has no transparency; take its brightness or a colour as the channel.")
        values = to_tensor(picture.convert("RGBA").getchannel("A"))
    else:
        values = to_tensor(picture.convert("RGB").getchannel(channel[0].upper()))
    return Mask(1 - values if invert else values)
