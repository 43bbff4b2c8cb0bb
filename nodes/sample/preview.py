"""What the picture is going to be, from any step: cheap, and computed only when somebody looks.

A small autoencoder simply decodes. For a large one, latents are mapped to colours by the straight line that comes
nearest to what its decoder does, fitted once a model on smooth random latents.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own custom
from torch import Tensor

from ..guidance.guide import Step
from ..models.live import Parts, use
from ..types import Image, Model
from .loop import Show

SMALL = 5_000_000
"""Parameters up to which a decoder is quick enough to be used itself."""

_fitted: dict[tuple[str, str | None, str], tuple[Tensor, Tensor]] = {}


def previewer(model: Model) -> Show:
    """Previews of a run with `model`. They take the autoencoder anew, so they also work once the run is over."""

    def show(sample: Tensor, prediction: Tensor, step: Step) -> Image:
        with torch.inference_mode():
            return Image(_colours(model, step.denoised(sample, prediction)))

    return show


def _colours(model: Model, latent: Tensor) -> Tensor:
    """Pixels (B, 3, H, W) in [0, 1] on the CPU, as large as the picture or, by the straight line, as the latent."""
    key = (model.source, model.revision, model.fingerprint)
    if key not in _fitted:
        with use(model) as parts:
            if sum(parameter.numel() for parameter in parts.vae.decoder.parameters()) <= SMALL:
                return parts.family.decode(parts, latent)
            _fitted[key] = fit(parts, latent.shape[1])
    weights, bias = _fitted[key]
    return (torch.einsum("bchw,cr->brhw", latent.float().cpu(), weights) + bias.view(1, 3, 1, 1)).clamp(0, 1)


def fit(parts: Parts, channels: int) -> tuple[Tensor, Tensor]:
    """Weights (channels, 3) and bias (3) that turn latents into the mean colours of what they decode to."""
    coarse = torch.randn(2, channels, 6, 6, generator=torch.Generator().manual_seed(0))
    smooth = F.interpolate(coarse, scale_factor=4, mode="bilinear")
    smooth = smooth / smooth.std()
    pixels = F.adaptive_avg_pool2d(parts.family.decode(parts, smooth), smooth.shape[-1])
    points = smooth.permute(0, 2, 3, 1).reshape(-1, channels)
    colours = pixels.permute(0, 2, 3, 1).reshape(-1, 3)
    solved = torch.linalg.lstsq(F.pad(points, (0, 1), value=1.0), colours).solution
    return solved[:channels], solved[channels]
