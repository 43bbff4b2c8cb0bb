"""Denoisers of published sizes with random weights, in tiny pipelines: what a method saves shows without a download.

The text encoders are a few layers of the right width and the autoencoder is a toy; only the denoiser is the real one.
"""

# pyright: reportArgumentType=false, reportCallIssue=false

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import tiny
import torch
from diffusers import (
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from torch import nn


@dataclass(frozen=True)
class FullSize:
    """A model by its usual latent (C, h, w), what builds its denoiser, and what puts a pipeline around it."""

    latent: tuple[int, int, int]
    denoiser: Callable[[], nn.Module]
    pipeline: Callable[[nn.Module], Any]


def build_denoiser(kind: str, device: str = "cpu", dtype: torch.dtype = torch.float16) -> nn.Module:
    """The denoiser of `kind` with random weights, made where and as they are to be."""
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            return FULL_SIZES[kind].denoiser()
    finally:
        torch.set_default_dtype(before)


def save(kind: str, folder: Path, device: str = "cpu", dtype: torch.dtype = torch.float16) -> Path:
    """The pipeline `kind` in `folder`, its denoiser made on `device` with weights of `dtype`."""
    FULL_SIZES[kind].pipeline(build_denoiser(kind, device, dtype)).save_pretrained(folder, safe_serialization=True)
    return folder


def _sd15(unet: nn.Module) -> StableDiffusionPipeline:
    return StableDiffusionPipeline(
        vae=tiny.autoencoder(),
        text_encoder=tiny.text_encoder(768),
        tokenizer=tiny.tokenizer(),
        unet=unet,
        scheduler=EulerDiscreteScheduler(**tiny.BETAS, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _sdxl(unet: nn.Module) -> StableDiffusionXLPipeline:
    return StableDiffusionXLPipeline(
        vae=tiny.autoencoder(),
        text_encoder=tiny.text_encoder(768),
        text_encoder_2=tiny.projecting_encoder(1280),
        tokenizer=tiny.tokenizer(),
        tokenizer_2=tiny.tokenizer(pad_token="!"),
        unet=unet,
        scheduler=EulerDiscreteScheduler(**tiny.BETAS, steps_offset=1),
    )


def _flux(transformer: nn.Module) -> FluxPipeline:
    return FluxPipeline(
        transformer=transformer,
        vae=tiny.autoencoder(latent_channels=16, shift_factor=0.2),
        text_encoder=tiny.text_encoder(768),
        text_encoder_2=tiny.t5_encoder(4096),
        tokenizer=tiny.tokenizer(),
        tokenizer_2=tiny.t5_tokenizer(512),
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift=3.0),
    )


_SD15 = partial(UNet2DConditionModel, sample_size=64, cross_attention_dim=768, attention_head_dim=8)
_SDXL = partial(
    UNet2DConditionModel,
    sample_size=128,
    block_out_channels=(320, 640, 1280),
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    transformer_layers_per_block=(1, 2, 10),
    attention_head_dim=(5, 10, 20),
    cross_attention_dim=768 + 1280,
    use_linear_projection=True,
    addition_embed_type="text_time",
    addition_time_embed_dim=256,
    projection_class_embeddings_input_dim=1280 + 6 * 256,
)

FULL_SIZES = {
    "sd15": FullSize((4, 64, 64), _SD15, _sd15),
    "sdxl": FullSize((4, 128, 128), _SDXL, _sdxl),
    "flux": FullSize((16, 128, 128), partial(FluxTransformer2DModel, guidance_embeds=True), _flux),
}
"""Stable Diffusion 1.5 at 512 pixels, SDXL and Flux.1 dev at 1024."""
