"""From pixels to the denoiser's space."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...graph.node import NodeError, node
from ...graph.progress import QUIET, Progress
from ..types import Image, Latent, Model


@node
def encode_image(
    model: Model,
    image: Image,
    seed: Annotated[
        int,
        Field(
            ge=0,
            lt=2**63,
            description="of the autoencoder's own noise; image i takes seed + i",
            json_schema_extra={"format": "seed"},
        ),
    ] = 0,
    progress: Progress = QUIET,
) -> Latent:
    """Encode a picture (B, 3, H, W) as a latent (B, C, h, w), drawn from the autoencoder's distribution as the stock
    image-to-image pipelines do."""
    import torch

    from ..models.inspect import describe
    from ..models.live import use

    multiple = describe(model).multiple
    height, width = image.pixels.shape[-2:]
    if height % multiple or width % multiple:
        fit_width, fit_height = (max(multiple, round(side / multiple) * multiple) for side in (width, height))
        raise NodeError(
            f"A picture of {width} x {height} cannot be encoded: this model takes multiples of {multiple}. "
            f"Resize it first, e.g. to {fit_width} x {fit_height}."
        )
    # The sum may pass the largest seed a generator takes.
    generators = [torch.Generator().manual_seed((seed + i) % 2**63) for i in range(len(image.pixels))]
    with torch.no_grad(), use(model, progress) as parts:
        return Latent(parts.family.encode_pixels(parts, image.pixels, generators))
