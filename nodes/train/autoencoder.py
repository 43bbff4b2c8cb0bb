"""The autoencoder of the shapes model: a stock AutoencoderKL with four latent channels, a quarter of the side.

The usual sum of squares is blind to what tells a small circle from a small square, so edges weigh more
(Rombach et al. 2022, https://arxiv.org/abs/2112.10752, use a perceptual loss for the same reason).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional

from ..shapes.render import render, render_dense
from ..shapes.scene import random_scenes
from .loop import Descent, Report, Trained, descend, generator_at, silent


def new_autoencoder(size: int = 32, channels: tuple[int, ...] = (24, 48, 64)) -> AutoencoderKL:
    """An untrained AutoencoderKL for pictures of `size` pixels; each level of `channels` but the first halves them."""
    # The stub asks for tuples of one block.
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(channels),  # pyright: ignore[reportArgumentType]
        up_block_types=("UpDecoderBlock2D",) * len(channels),  # pyright: ignore[reportArgumentType]
        block_out_channels=channels,  # pyright: ignore[reportArgumentType]
        layers_per_block=1,
        norm_num_groups=8,
        latent_channels=4,
        sample_size=size,
        scaling_factor=1.0,
        mid_block_add_attention=False,
    )


def edge_weight(pictures: Tensor, most: float = 4.0) -> Tensor:
    """(n, 1, h, w) weights: `most` where a pixel's 3 x 3 surroundings differ strongly in any channel, 1 where flat."""
    high = functional.max_pool2d(pictures, 3, 1, 1)
    low = -functional.max_pool2d(-pictures, 3, 1, 1)
    contrast = (high - low).amax(1, keepdim=True)
    return 1 + (most - 1) * (contrast * 2).clamp(max=1)


def training_pictures(count: int, size: int, seed: int, step: int) -> Tensor:
    """A batch in [-1, 1]: one third crowded pictures, the rest scenes as they are captioned."""
    crowded = render_dense(count // 3, size, generator_at(seed, step))
    scenes = render(random_scenes(count - count // 3, f"autoencoder/{seed}/{step}"), size)
    return torch.cat((crowded, scenes)) * 2 - 1


def missing(latents: Tensor, most: float, generator: torch.Generator) -> Tensor:
    """What a denoiser may miss: for half of the latents noise of up to `most` of their standard deviation, else 0."""
    level = most * (torch.rand(len(latents), 1, 1, 1, generator=generator) * 2 - 1).clamp(min=0)
    deviation = latents.detach().std((0, 2, 3), keepdim=True)
    return level * deviation * torch.randn(latents.shape, generator=generator)


def picture_loss(decoded: Tensor, pictures: Tensor) -> Tensor:
    """Mean absolute plus twice the mean square error, weighted by `edge_weight`."""
    error = decoded - pictures
    return (edge_weight(pictures) * (error.abs() + 2 * error.square())).mean()


def fit_autoencoder(
    folder: Path,
    steps: int = 2600,
    batch: int = 24,
    size: int = 32,
    channels: tuple[int, ...] = (24, 48, 64),
    rate: float = 2e-3,
    noise: float = 0.2,
    divergence: float = 1e-4,
    seed: int = 0,
    report: Report = silent,
    stop_after: int | None = None,
) -> tuple[AutoencoderKL, Trained]:
    """Train the autoencoder in `folder`, resuming from its last checkpoint. Returns the averaged model and the curve.

    Half of a batch is decoded from latents that miss by up to `noise` of their standard deviation, so that a denoiser
    need not be perfect. `divergence` weighs the mean KL divergence from the unit normal.
    """
    torch.manual_seed(seed)
    model = cast(Any, new_autoencoder(size, channels)).to(memory_format=torch.channels_last)

    def loss_at(step: int) -> Tensor:
        pictures = training_pictures(batch, size, seed, step)
        mean, logvar = model.quant_conv(model.encoder(pictures)).chunk(2, 1)
        logvar = logvar.clamp(-30, 20)
        generator = generator_at(seed + 1, step)
        missed = missing(mean, noise, generator)
        latents = mean + (0.5 * logvar).exp() * torch.randn(mean.shape, generator=generator) + missed
        penalty = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
        return picture_loss(model.decoder(model.post_quant_conv(latents)), pictures) + divergence * penalty

    trained = descend(folder, model, loss_at, Descent(steps, rate), report, stop_after)
    model.load_state_dict(trained.weights)
    return model.eval(), trained


def refine_decoder(
    folder: Path,
    autoencoder: AutoencoderKL,
    steps: int = 3300,
    batch: int = 24,
    rate: float = 1e-3,
    noise: float = 0.2,
    seed: int = 10,
    report: Report = silent,
    stop_after: int | None = None,
) -> tuple[AutoencoderKL, Trained]:
    """Train only the decoder of `autoencoder` further, so that its latents, and a denoiser of them, stay valid.

    Returns the autoencoder with the averaged decoder, and the curve.
    """
    model = cast(Any, autoencoder).to(memory_format=torch.channels_last)
    model.requires_grad_(False)
    for part in (model.decoder, model.post_quant_conv):
        part.requires_grad_(True)
    size = model.config.sample_size

    def loss_at(step: int) -> Tensor:
        pictures = training_pictures(batch, size, seed, step)
        with torch.no_grad():
            mean = model.encode(pictures).latent_dist.mode()
        latents = mean + missing(mean, noise, generator_at(seed + 1, step))
        return picture_loss(model.decoder(model.post_quant_conv(latents)), pictures)

    trained = descend(folder, model, loss_at, Descent(steps, rate), report, stop_after)
    model.load_state_dict(trained.weights, strict=False)
    return model.requires_grad_(True).eval(), trained
