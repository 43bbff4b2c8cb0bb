"""Keep a LoRA."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ...graph.atomic import write
from ...graph.files import Files, Writes
from ...graph.node import effect
from ...graph.progress import QUIET, Progress
from .lora import Lora
from .writing import Layout, packed

Precision = Literal["float32", "float16", "bfloat16"]


@effect(title="Save LoRA")
def save_lora(
    lora: Lora,
    name: Annotated[
        str, Writes(), Field(min_length=1, max_length=500, description="file name without its ending")
    ] = "lora",
    layout: Annotated[
        Layout,
        Field(description="diffusers' loads in diffusers, kohya's (of Stable Diffusion alone) in most others"),
    ] = "diffusers",
    precision: Annotated[Precision, Field(description="of the numbers; the files of most trainers have float16")] = (
        "float32"
    ),
    progress: Progress = QUIET,
    *,
    files: Files,
) -> None:
    """Write a LoRA as a safetensors file in the output folder; one of that name is replaced whole.

    What was loaded and is saved in the precision it had is the same to the last bit, whatever the layouts. DoRA has a
    place in both; LoHa, LoKr and differences of no rank only in kohya's.
    """
    import torch

    changes = lora.load()
    packed_up = packed(changes, layout, lora.model.family, getattr(torch, precision))
    path = files.target(f"{name}.safetensors")
    write(path, packed_up)
    progress.note(files=[str(path)], layers={part: len(changed) for part, changed in changes.items()})
