"""Keep a LoRA."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import Field

from ...graph.atomic import write
from ...graph.files import Files, Writes
from ...graph.node import NodeError, effect
from ...graph.progress import QUIET, Progress
from .lora import Lora
from .writing import Layout, as_diffusers, as_kohya

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
    from safetensors.torch import save

    dtype = getattr(torch, precision)
    changes = lora.load()
    metadata = {"format": "pt"}
    if layout == "diffusers":
        tensors, settings = as_diffusers(changes)
        metadata["lora_adapter_metadata"] = json.dumps(settings, sort_keys=True)
    else:
        tensors = as_kohya(changes, lora.model.family, dtype)
    # alphas are single numbers, and stay what they are
    made = {key: (value.to(dtype) if value.ndim else value).clone().contiguous() for key, value in tensors.items()}
    if lost := [key for key, value in made.items() if not value.isfinite().all()]:
        raise NodeError(f"{precision} cannot hold the numbers of {lost[0]}; save it as bfloat16 or float32.")
    path = files.target(f"{name}.safetensors")
    write(path, save(made, metadata))
    progress.note(files=[str(path)], layers={part: len(changed) for part, changed in changes.items()})
