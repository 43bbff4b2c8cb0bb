"""Pictures between files, Pillow and tensors: opened with care, since a picture comes from strangers too."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from PIL import Image as Pillow
from PIL import ImageColor, ImageOps
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from ...graph.node import NodeError

if TYPE_CHECKING:
    from torch import Tensor

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""What is opened. Pillow's other readers are left out: some start programs, none is needed."""

LARGEST = 100_000_000
"""Pixels, over a whole batch, that a node makes at most: more is refused, before memory is full."""

_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, KeyError, IndexError, OverflowError)
"""What Pillow raises for a damaged file, depending on where the damage is."""


def _colour(text: str) -> str:
    try:
        ImageColor.getrgb(text)
    except ValueError:
        raise PydanticCustomError(
            "colour", "{given} is not a colour: write a name such as white or #rrggbb", {"given": repr(text)}
        ) from None
    return text


Colour = Annotated[str, Field(max_length=64), AfterValidator(_colour)]
"""A setting that names a colour as CSS does."""


def open_picture(path: Path) -> Pillow.Image:
    """The picture in a file, upright as its EXIF data says, decoded; the first frame of an animation.

    Raises `NodeError` when it is damaged, of another format, or larger than Pillow's decompression bomb limit.
    """
    if path.is_dir():
        raise NodeError(f"{path} is a folder; a picture is wanted.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Pillow.DecompressionBombWarning)
            with Pillow.open(path, formats=FORMATS) as picture:
                return ImageOps.exif_transpose(_eight_bit(picture))
    except (Pillow.DecompressionBombWarning, Pillow.DecompressionBombError):
        limit = (Pillow.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise NodeError(f"{path.name} has too many pixels; pictures of up to {limit} million are opened.") from None
    except Pillow.UnidentifiedImageError:
        raise NodeError(f"{path.name} is not a picture that can be read: {', '.join(FORMATS)} are.") from None
    except MemoryError:
        raise NodeError(f"{path.name} does not fit into memory.") from None
    except _BROKEN as error:
        raise NodeError(f"{path.name} is damaged and cannot be read to its end ({error}).") from None


def over(picture: Pillow.Image, background: str) -> Pillow.Image:
    """`picture` as RGB; where it is transparent, `background` shows."""
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    picture = picture.convert("RGBA")
    base = Pillow.new("RGBA", picture.size, (*ImageColor.getrgb(background)[:3], 255))
    return Pillow.alpha_composite(base, picture).convert("RGB")


def to_tensor(picture: Pillow.Image) -> Tensor:
    """(1, C, H, W) float32 in [0, 1] of an 8-bit picture with C channels."""
    import numpy as np
    import torch

    values = np.atleast_3d(np.asarray(picture, dtype=np.float32)) / 255
    return torch.from_numpy(values).permute(2, 0, 1).unsqueeze(0).contiguous()


def to_pictures(pixels: Tensor) -> list[Pillow.Image]:
    """One 8-bit RGB picture for each of `pixels` (B, 3, H, W). Raises `NodeError` when a value is not finite."""
    if not pixels.isfinite().all():
        raise NodeError("The image holds values that are not numbers (NaN or infinite), so there is nothing to show.")
    values = (pixels.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [Pillow.fromarray(each) for each in values]


def refuse_too_many(count: int, height: int, width: int) -> None:
    """Raises `NodeError` when `count` pictures of `height` by `width` are more than is made at once."""
    if count * height * width > LARGEST:
        raise NodeError(
            f"That would be {f'{count} images' if count > 1 else 'an image'} of {width} x {height} pixels; "
            f"{LARGEST // 1_000_000} million pixels are made at most."
        )


def enlarging(height: int, width: int, at_least: int) -> int:
    """The whole factor by which a picture is repeated so that its shorter side reaches `at_least` pixels."""
    return max(1, -(-at_least // min(height, width)))


def repeat_pixels(pixels: Tensor, factor: int) -> Tensor:
    """`pixels` (B, C, H, W) with each pixel a square of `factor` by `factor`: (B, C, factor H, factor W).

    Raises `NodeError` when that is too much.
    """
    batch, _, height, width = pixels.shape
    refuse_too_many(batch, factor * height, factor * width)
    return pixels.repeat_interleave(factor, dim=2).repeat_interleave(factor, dim=3) if factor > 1 else pixels


def _eight_bit(picture: Pillow.Image) -> Pillow.Image:
    """Decoded and without 16-bit or float samples, which Pillow's own conversion would clip instead of scale."""
    import numpy as np

    picture.load()
    if picture.mode.startswith("I;16") or picture.mode == "I":
        scaled = np.asarray(picture).astype(np.float64) / 257
    elif picture.mode == "F":
        scaled = np.nan_to_num(np.asarray(picture).astype(np.float64)) * 255
    else:
        return picture.copy()
    result = Pillow.fromarray(scaled.clip(0, 255).round().astype(np.uint8))
    result.info.update({key: value for key, value in picture.info.items() if key == "exif"})
    return result
