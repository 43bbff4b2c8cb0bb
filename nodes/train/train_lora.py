"""A LoRA from pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, NamedTuple

from pydantic import Field

from ...graph.files import Files, Reads, Writes
from ...graph.node import NodeError, effect
from ...graph.progress import QUIET, Progress
from ..lora.source import LoraFile
from ..lora.trainable import Targets
from ..types import Figure, Image, Model, Prompts
from .trained import curve, telling

_SAMPLES = 4


class TrainedLora(NamedTuple):
    """A LoRA, and pictures drawn with it."""

    lora: LoraFile
    losses: Figure
    samples: Image


@effect(title="Train LoRA")
def train_lora(
    model: Model,
    pictures: Image | None = None,
    captions: Prompts | None = None,
    folder: Annotated[
        str | None,
        Reads("input"),
        Field(description="pictures, and beside each its caption in a .txt file; empty: what is wired, or shapes"),
    ] = None,
    name: Annotated[str, Writes(), Field(description="folder for the checkpoints and lora.safetensors")] = "train/lora",
    rank: Annotated[int, Field(ge=1, le=1024)] = 8,
    alpha: Annotated[float, Field(gt=0, le=1024, description="the change is scaled by alpha / rank")] = 8.0,
    targets: Annotated[
        Targets, Field(description="projections of attention, all linear layers, or convolutions too")
    ] = "attention",
    steps: Annotated[int, Field(ge=1, le=1_000_000)] = 1000,
    batch: Annotated[int, Field(ge=1, le=4096, description="pictures a step")] = 4,
    rate: Annotated[float, Field(gt=0, le=0.1, description="highest learning rate")] = 1e-3,
    unguided: Annotated[float, Field(ge=0, le=1, description="share of captions left out, for guidance")] = 0.1,
    checkpointing: Annotated[bool, Field(description="compute activations twice, for a third of the memory")] = False,
    seed: Annotated[
        int,
        Field(ge=0, le=2**31, description="of the factors and the noise", json_schema_extra={"format": "seed"}),
    ] = 0,
    progress: Progress = QUIET,
    *,
    files: Files,
) -> TrainedLora:
    """Train a LoRA of the denoiser on pictures with captions.

    Pictures come by wire, one caption for each or one for all, or from a folder; without either they are of the world
    of shapes. A run that was stopped goes on from its last checkpoint; one that is finished is not done again. The LoRA
    lies in diffusers' layout in the folder `name`. The samples are drawn with it for the first four captions.
    https://arxiv.org/abs/2106.09685
    """
    import torch

    from ..lora.applied import AppliedLora
    from ..lora.skeleton import skeleton
    from ..lora.trainable import Learning, Trainable, chosen
    from ..models.inspect import describe, layout
    from ..models.live import use
    from .captioned import from_folder, of_shapes, of_workflow
    from .loop import Descent
    from .lora import encode, fit_lora, sampled

    if folder is not None and pictures is not None:
        raise NodeError("Pictures are wired and a folder is named; give one of them.")
    if captions is not None and pictures is None:
        raise NodeError("Captions are wired, but no pictures.")

    report = telling(progress, "LoRA")
    target = files.target(name)
    part, sizes = layout(model).denoiser.name, describe(model)
    torch.manual_seed(seed)
    factors = Trainable(chosen(skeleton(model)[part], targets), rank, alpha)
    with use(replace(model, patches=(*model.patches, Learning(factors))), progress) as parts:
        if pictures is not None:
            given = of_workflow(pictures, captions)
        elif folder is not None:
            given = from_folder(files.find(folder, "input"), sizes.default)
        else:
            given = of_shapes(min(2048, steps * batch), min(sizes.default), seed)
        height, width = given.pixels.shape[-2:]
        if height % sizes.multiple or width % sizes.multiple:
            raise NodeError(
                f"The pictures are {width} x {height} pixels; {model.source} takes multiples of {sizes.multiple}."
            )
        lesson = encode(parts, given, seed, progress)
        if checkpointing:
            parts.denoiser.enable_gradient_checkpointing()
        try:
            how = Descent(steps, rate, warmup=min(100, steps // 10))
            trained = fit_lora(target, parts, factors, lesson, how, batch, unguided, seed, report)
        finally:
            if checkpointing:
                parts.denoiser.disable_gradient_checkpointing()
    lora = factors.save(target / "lora.safetensors", model, part)
    changed = replace(model, patches=(*model.patches, AppliedLora(lora)))
    samples = sampled(changed, given.captions[:_SAMPLES], (height, width), seed, progress)
    return TrainedLora(lora, curve("LoRA", loss=trained.losses), Image(samples))
