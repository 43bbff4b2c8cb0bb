"""Pictures from strangers: decoded whole, within limits, and given on without what came along with them."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from .refusals import refuse

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""What is opened, as in load_image. Pillow's other readers are left out: some start programs, none is needed."""

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")

MAX_BYTES = 64 << 20
MAX_PIXELS = 64_000_000

_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, KeyError, IndexError, OverflowError)
"""What Pillow raises for a damaged file, depending on where the damage is."""


def decode(source: bytes | Path) -> Image.Image:
    """The picture, upright as its EXIF data says, 8-bit RGB or RGBA; of an animation the first frame.

    Raises `Refused` for what is damaged, too large or no picture.
    """
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:  # told by the head of the file; nothing was decoded yet
                refuse(
                    f"The picture has {width} x {height} pixels; up to {MAX_PIXELS // 1_000_000} million are taken in."
                )
            upright = ImageOps.exif_transpose(_eight_bit(picture))
            return upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        refuse(f"The picture has too many pixels; up to {MAX_PIXELS // 1_000_000} million are taken in.")
    except Image.UnidentifiedImageError:
        refuse(f"That is no picture that can be read: {', '.join(FORMATS)} are.")
    except _BROKEN as error:
        refuse(f"The picture is damaged and cannot be read to its end ({error}).")


def clean(picture: Image.Image) -> Image.Image:
    """Its pixels alone: no comments, no place it was taken at, no colour profile."""
    bare = Image.new(picture.mode, picture.size)
    bare.paste(picture)
    return bare


def as_png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    clean(picture).save(buffer, "PNG")
    return buffer.getvalue()


def as_thumbnail(picture: Image.Image, size: int) -> bytes:
    """WebP of a picture made to fit into a square of `size` pixels; a smaller one stays as small."""
    small = clean(picture)
    small.thumbnail((size, size), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=80, method=4)
    return buffer.getvalue()


def _eight_bit(picture: Image.Image) -> Image.Image:
    """Decoded; 16 bits a channel are scaled to 8, which Pillow's own conversion would cut off."""
    picture.load()
    if not (picture.mode.startswith("I;16") or picture.mode == "I"):
        return picture
    scaled = Image.fromarray((np.asarray(picture).clip(0, 65535) // 257).astype(np.uint8))
    scaled.info = picture.info
    return scaled
