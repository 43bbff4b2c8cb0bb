"""The shape of a picture to make from nothing."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...graph.node import NodeError, node
from ..types import Latent, Model


@node
def empty_latent(
    model: Model,
    width: Annotated[int, Field(ge=0, le=16384, description="pixels; 0 is the model's own size")] = 0,
    height: Annotated[int, Field(ge=0, le=16384, description="pixels; 0 is the model's own size")] = 0,
    batch: Annotated[int, Field(ge=1, le=1024, description="how many pictures at once")] = 1,
) -> Latent:
    """An all-zero latent (batch, C, height / factor, width / factor), checked against what the model can do."""
    import torch

    from ..models.inspect import describe

    described = describe(model)
    size = {"height": height or described.default[0], "width": width or described.default[1]}
    problems = [
        f"{side} {pixels} is not a multiple of {described.multiple}, as this model needs; "
        f"take {_nearest(pixels, described.multiple)}."
        for side, pixels in size.items()
        if pixels % described.multiple
    ]
    if problems:
        raise NodeError(" ".join(problems))
    rows, columns = size["height"] // described.factor, size["width"] // described.factor
    return Latent(torch.zeros(batch, described.latent_channels, rows, columns))


def _nearest(pixels: int, multiple: int) -> str:
    below = pixels // multiple * multiple
    return f"{below} or {below + multiple}" if below else str(multiple)
