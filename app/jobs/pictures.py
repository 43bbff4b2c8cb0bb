"""Tensors as pictures for the page: files named after what they show, and small data URLs for what is still coming."""

from __future__ import annotations

import base64
import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image as Pillow

from ...graph.atomic import write
from .wire import Picture

if TYPE_CHECKING:
    from torch import Tensor

SHOWN = 768
"""Longer side of a preview in pixels; the file a node saves keeps all of them."""

THUMBNAIL = 256
"""Longer side of thumbnails and of live previews; previews no larger than that are exact."""

URL = "/api/previews/"


def picture_of(values: Tensor) -> Pillow.Image:
    """An 8-bit picture of `values` (3 or 1, H, W) in [0, 1]; what is not a number is shown black."""
    whole = (values.detach().float().nan_to_num(0).clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    return Pillow.fromarray(whole if whole.shape[2] == 3 else whole[:, :, 0]).convert("RGB")


def sheet_of(values: Tensor, side: int) -> Pillow.Image:
    """The first four of `values` (B, C, H, W) side by side, at most `side` pixels wide and high."""
    pictures = [picture_of(each) for each in values[:4]]
    if len(pictures) == 1:
        return fitted(pictures[0], side)
    cells = [fitted(picture, side // 2) for picture in pictures]
    width, height = cells[0].size
    sheet = Pillow.new("RGB", (2 * width, height * (1 + (len(cells) > 2))))
    for index, cell in enumerate(cells):
        sheet.paste(cell, (index % 2 * width, index // 2 * height))
    return sheet


def fitted(picture: Pillow.Image, side: int) -> Pillow.Image:
    """`picture`, made smaller where it is larger than `side`."""
    longest = max(picture.size)
    if longest <= side:
        return picture
    width, height = (max(1, round(length * side / longest)) for length in picture.size)
    return picture.resize((width, height), Pillow.Resampling.LANCZOS, reducing_gap=2.0)


def data_url(picture: Pillow.Image) -> str:
    """The picture itself as a URL, for what is looked at once."""
    buffer = io.BytesIO()
    picture.save(buffer, "webp", quality=80, method=0)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def keep(picture: Pillow.Image, folder: Path, side: int = SHOWN) -> str:
    """Write `picture`, at most `side` pixels large, into `folder` under a name of its content, and give the URL.

    What is there already is not written again. Raises `OSError`.
    """
    shown = fitted(picture, side)
    digest = hashlib.sha256(f"{shown.mode} {shown.size}".encode())
    digest.update(shown.tobytes())
    name = f"{digest.hexdigest()[:32]}.webp"
    path = folder / name
    if not path.exists():
        buffer = io.BytesIO()
        exact = max(shown.size) <= THUMBNAIL
        shown.save(buffer, "webp", lossless=exact, quality=60 if exact else 90, method=4)
        folder.mkdir(parents=True, exist_ok=True)
        write(path, buffer.getvalue())
    return URL + name


def shown(name: str, picture: Pillow.Image, folder: Path, full: str | None = None) -> Picture:
    """The output `name` as the page shows it; `full` is the URL of the whole picture, where there is one."""
    width, height = picture.size
    return Picture(name=name, url=keep(picture, folder), width=width, height=height, full=full)
