"""A model that a LoRA changes."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Annotated

from pydantic import Field

from ...graph.node import NodeError, node
from ..types import Model
from .applied import AppliedLora, Way
from .lora import Lora
from .skeleton import skeleton
from .strengths import check_blocks, read_blocks

Point = tuple[
    Annotated[float, Field(ge=0, le=1, description="share of the run")],
    Annotated[float, Field(ge=-10, le=10, description="factor")],
]


@node(title="Apply LoRA")
def apply_lora(
    model: Model,
    lora: Lora,
    strength: Annotated[float, Field(ge=-10, le=10, description="in the denoiser; 0 changes nothing")] = 1.0,
    text_strength: Annotated[
        float | None, Field(ge=-10, le=10, description="in the text encoders; empty: the same")
    ] = None,
    blocks: Annotated[
        str,
        Field(
            max_length=20_000,
            description="factors by block, one `name = factor` a line, such as `unet.up_blocks = 0.5`; the last line "
            "that fits a layer counts",
            json_schema_extra={"format": "textarea"},
        ),
    ] = "",
    curve: Annotated[
        list[Point],
        Field(
            max_length=100,
            description="factor over the run, in the denoiser: points (share that is done, factor); empty: always 1",
            json_schema_extra={"format": "curve"},
        ),
    ] = [],  # noqa: B006
    way: Annotated[
        Way,
        Field(
            description="fuse it into the weights, or compute it beside them at each call; auto fuses unless they are "
            "offloaded"
        ),
    ] = "auto",
) -> Model:
    """Let a LoRA change a model: W' = W + strength · factors · Δ(W), at each layer it names.

    Several are put on one after another, and their changes add up. Where it changes text encoders too, encode the
    prompts with the model that this gives. The base weights come back bit for bit when the run ends.
    """
    changes = lora.load()
    layers = skeleton(model)
    lost = [
        f"{part}.{name}"
        for part, changed in changes.items()
        for name, change in changed.items()
        if not (name in layers.get(part, {}) and change.fits(layers[part][name]))
    ]
    if lost:
        raise NodeError(
            f"This LoRA was made for {lora.model.source}, and {model.source} has other layers: {len(lost)} of its "
            f"changes do not fit, such as that of {lost[0]}."
        )
    points = tuple(sorted((at, factor) for at, factor in curve))
    if doubled := [at for (at, _), (following, _) in pairwise(points) if at == following]:
        raise NodeError(f"The curve has two points at {doubled[0]:g}; a curve has one height at each place.")
    strengths = read_blocks(blocks)
    check_blocks(strengths, [f"{part}.{name}" for part, changed in changes.items() for name in changed])
    patch = AppliedLora(lora, strength, text_strength, strengths, points, way)
    return replace(model, patches=(*model.patches, patch))
