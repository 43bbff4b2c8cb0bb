"""The autoencoder of every family so far (AutoencoderKL), as the stock pipelines use it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .live import Parts


def decode(parts: Parts, latent: Tensor) -> Tensor:
    """Pixels (B, 3, H, W) in [0, 1] on the CPU. See `Family.decode`."""
    vae = parts.vae
    latent = latent.to(parts.placement.device, vae.dtype)
    moments = _moments(vae, latent)
    if moments is None:
        latent = latent / vae.config.scaling_factor
        latent = latent + vae.config.shift_factor if vae.config.shift_factor else latent
    else:
        latent = latent * moments[1] / vae.config.scaling_factor + moments[0]
    pixels = vae.decode(latent, return_dict=False)[0]
    return (pixels * 0.5 + 0.5).clamp(0, 1).float().cpu()


def encode_pixels(parts: Parts, pixels: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """A latent (B, C, h, w) on the CPU, image by image, each drawn with its generator. See `Family.encode_pixels`."""
    vae = parts.vae
    given = (2.0 * pixels - 1.0).to(parts.placement.device, vae.dtype)
    drawn = [vae.encode(given[i : i + 1]).latent_dist.sample(generator) for i, generator in enumerate(generators)]
    latent = torch.cat(drawn)
    moments = _moments(vae, latent)
    if moments is None:
        latent = latent - vae.config.shift_factor if vae.config.shift_factor else latent
        latent = vae.config.scaling_factor * latent
    else:
        latent = (latent - moments[0]) * vae.config.scaling_factor / moments[1]
    return latent.float().cpu()


def _moments(vae: Any, like: Tensor) -> tuple[Tensor, Tensor] | None:
    """Mean and deviation of each latent channel, (1, C, 1, 1), where the autoencoder's configuration has them."""
    mean, deviation = vae.config.get("latents_mean"), vae.config.get("latents_std")
    if mean is None or deviation is None:
        return None
    return tuple(torch.tensor(values).view(1, -1, 1, 1).to(like) for values in (mean, deviation))  # type: ignore[return-value]
