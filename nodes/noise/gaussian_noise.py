"""The noise a picture begins with."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...graph.node import node
from ..types import Latent, Noise
from .seeded import MAX_SEED, seeded


@node
def gaussian_noise(
    latent: Latent,
    seed: Annotated[
        int,
        Field(
            ge=0,
            le=MAX_SEED,
            description="image i of a batch is drawn with seed + i",
            json_schema_extra={"format": "seed"},
        ),
    ] = 0,
) -> Noise:
    """Standard normal noise (B, C, h, w) in the shape of `latent`.

    Each image is drawn on the CPU by its own generator, so that it is the same alone, in a batch and on every device,
    and is the first draw of a stock pipeline called with `generator=[torch.Generator().manual_seed(seed + i), ...]`.
    """
    count, *shape = latent.samples.shape
    return seeded(range(seed, seed + count), shape)
