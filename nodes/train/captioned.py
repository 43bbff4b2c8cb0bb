"""Pictures with captions to learn from: those of a workflow, of a folder, or of the world of shapes."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import NamedTuple

import torch
from PIL import ImageOps
from torch import Tensor

from ...graph.node import NodeError
from ..image.pixels import open_picture, over, to_tensor
from ..shapes.caption import random_caption
from ..shapes.render import render
from ..shapes.scene import random_scenes
from ..types import Image, Prompts

_PICTURES = (".png", ".jpg", ".jpeg", ".webp")


class Captioned(NamedTuple):
    """Pixels (n, 3, H, W) in [0, 1] and n captions."""

    pixels: Tensor
    captions: tuple[str, ...]


def of_workflow(pictures: Image, captions: Prompts | None) -> Captioned:
    """One caption for each picture, or one for all. Raises `NodeError`."""
    texts = captions.texts if captions else ()
    if len(texts) not in (1, len(pictures.pixels)):
        raise NodeError(f"There are {len(texts)} captions for {len(pictures.pixels)} pictures; give one, or as many.")
    return Captioned(pictures.pixels, texts if len(texts) > 1 else texts * len(pictures.pixels))


def from_folder(folder: Path, size: tuple[int, int]) -> Captioned:
    """Pictures (height, width) large, cut from the middle, and beside each a text file of the same name.

    Raises `NodeError` where there are none, or some have no caption.
    """
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _PICTURES)
    if not paths:
        raise NodeError(f"{folder} has no pictures ({', '.join(_PICTURES)}).")
    texts = [path.with_suffix(".txt") for path in paths]
    if missing := [text.name for text in texts if not text.is_file()]:
        raise NodeError(f"{folder} lacks captions: {', '.join(missing[:5])}{' ...' if len(missing) > 5 else ''}.")
    height, width = size
    pictures = [ImageOps.fit(over(open_picture(path), "white"), (width, height)) for path in paths]
    return Captioned(
        torch.cat([to_tensor(picture) for picture in pictures]),
        tuple(text.read_text("utf-8").strip() for text in texts),
    )


def of_shapes(count: int, size: int, seed: int) -> Captioned:
    """The world of shapes, `count` scenes of it."""
    scenes = random_scenes(count, f"lora/{seed}")
    random = Random(f"lora words/{seed}")
    return Captioned(render(scenes, size), tuple(random_caption(scene, random)[0] for scene in scenes))
