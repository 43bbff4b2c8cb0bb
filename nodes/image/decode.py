"""From the denoiser's space to pixels."""

from __future__ import annotations

from ...graph.node import NodeError, node
from ...graph.progress import QUIET, Progress
from ..types import Image, Latent, Model


@node
def decode(model: Model, latent: Latent, progress: Progress = QUIET) -> Image:
    """Decode a latent (B, C, h, w) to a picture (B, 3, H, W) with the model's autoencoder."""
    import torch

    from ..models.inspect import describe
    from ..models.live import use

    described, channels = describe(model), latent.samples.shape[1]
    if channels != described.latent_channels:
        raise NodeError(
            f"The latent has {channels} channels and this model's autoencoder {described.latent_channels}: "
            "decode it with the model that made it."
        )
    with torch.no_grad(), use(model, progress) as parts:
        return Image(parts.family.decode(parts, latent.samples))
