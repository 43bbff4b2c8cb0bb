"""Many images on one sheet, each with its label."""

from __future__ import annotations

import math
from typing import Annotated

from PIL import Image as Pillow
from PIL import ImageColor, ImageDraw, ImageFont
from pydantic import Field

from ...graph.node import NodeError, node
from ..types import Image
from .pixels import Colour, enlarging, refuse_too_many, repeat_pixels, to_pictures, to_tensor

_READABLE = 192
"""Pixels of the shorter side that `scale` 0 enlarges small images to."""


@node
def image_grid(
    images: tuple[Image, ...],
    columns: Annotated[int, Field(ge=0, le=100, description="0 makes the sheet nearly square")] = 0,
    labels: Annotated[
        str,
        Field(
            max_length=20_000,
            description="one line for each image, in their order",
            json_schema_extra={"format": "textarea"},
        ),
    ] = "",
    gap: Annotated[int, Field(ge=0, le=256, description="pixels between the images and around them")] = 8,
    scale: Annotated[int, Field(ge=0, le=64, description="repeat each pixel so often; 0 decides by the size")] = 0,
    background: Annotated[Colour, Field(description="of the sheet; the labels are black or white upon it")] = "white",
) -> Image:
    """Lay images out on one sheet, row by row, with a label under each.

    Batches are taken apart. Images of different sizes are centred in cells of equal size. Small images are enlarged by
    a whole factor, so that their pixels stay what they are.
    """
    pictures = [picture for image in images for picture in _enlarged(image, scale)]
    if not pictures:
        raise NodeError("There is no image to lay out: wire one or more into images.")
    texts = labels.split("\n") if labels.strip() else []
    if len(texts) > len(pictures):
        raise NodeError(f"There are {len(texts)} labels for {len(pictures)} images; one line of labels is one image's.")
    columns = min(columns or math.ceil(math.sqrt(len(pictures))), len(pictures))
    rows = math.ceil(len(pictures) / columns)
    cell_width = max(picture.width for picture in pictures)
    cell_height = max(picture.height for picture in pictures)
    font = ImageFont.load_default(max(12, min(48, cell_width // 14)))
    lines = [_wrapped(text, font, cell_width) for text in texts]
    line_height = math.ceil(sum(font.getmetrics())) if isinstance(font, ImageFont.FreeTypeFont) else 14
    label_height = line_height * max((len(each) for each in lines), default=0)

    step_x, step_y = cell_width + gap, cell_height + label_height + gap
    width, height = columns * step_x + gap, rows * step_y + gap
    refuse_too_many(1, height, width)
    sheet = Pillow.new("RGB", (width, height), background)
    draw = ImageDraw.Draw(sheet)
    ink = _ink(background)
    for index, picture in enumerate(pictures):
        left, top = gap + index % columns * step_x, gap + index // columns * step_y
        sheet.paste(picture, (left + (cell_width - picture.width) // 2, top + (cell_height - picture.height) // 2))
        for number, line in enumerate(lines[index] if index < len(lines) else ()):
            middle = (left + cell_width / 2, top + cell_height + number * line_height)
            draw.text(middle, line, fill=ink, font=font, anchor="ma")
    return Image(to_tensor(sheet))


def _enlarged(image: Image, scale: int) -> list[Pillow.Image]:
    height, width = image.pixels.shape[-2:]
    factor = scale or enlarging(height, width, _READABLE)
    return to_pictures(repeat_pixels(image.pixels, factor))


def _wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    """`text` in lines of at most `width` pixels, broken between words, and within one that is too long alone."""
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}".strip()
        if font.getlength(joined) <= width:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if lines[-1] and font.getlength(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    return lines


def _ink(background: str) -> str:
    red, green, blue = ImageColor.getrgb(background)[:3]
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 127 else "white"
