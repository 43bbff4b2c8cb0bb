"""Flux.1 (Black Forest Labs, 2024, https://github.com/black-forest-labs/flux): T5's tokens, CLIP's pooled embedding,
and a transformer over patches of 2 x 2 latent pixels. The dev model is guidance-distilled: it is told the scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...graph.progress import QUIET, Progress
from ..types import Conditioning
from . import clip, t5, transformer
from .family import Flow, Predict
from .live import Parts
from .shift import flow_of
from .transformer import check_no_skip
from .vae import decode, encode_pixels

__all__ = ["decode", "empty", "encode", "encode_pixels", "flow", "predictor"]

LENGTH = 512
"""Tokens that T5 reads, as in the stock pipeline."""


def encode(parts: Parts, texts: Sequence[str], clip_skip: int = 0, progress: Progress = QUIET) -> Conditioning:
    """Tokens (N, T, D) of T5, weights applied, and pooled (N, P) of CLIP, of each prompt's first chunk and without
    weights."""
    check_no_skip(clip_skip, "Flux")
    (first, second), (tokenizer, tokenizer_2), device = parts.text_encoders, parts.tokenizers, parts.placement.device
    chunk = clip.chunks(texts, [tokenizer], [first], progress)[0].ids[:, 0]
    pooled = first(chunk.to(device)).pooler_output
    length = t5.length_of(tokenizer_2, LENGTH)
    tokens = t5.encode(second, tokenizer_2, texts, length, device, progress).tokens
    return Conditioning(tokens, pooled.float().cpu())


def empty(parts: Parts, progress: Progress = QUIET) -> Conditioning:
    """The empty prompt, encoded."""
    return encode(parts, [""], progress=progress)


def flow(parts: Parts, latent_shape: Sequence[int]) -> Flow | None:
    """See `Family.flow`."""
    return flow_of(parts, (latent_shape[-2] // 2) * (latent_shape[-1] // 2), even=True)


def predictor(parts: Parts, latent_shape: Sequence[int], guidance_scale: float | None = None) -> Predict:
    """See `Family.predictor`."""
    device, (images, _, height, width) = parts.placement.device, latent_shape
    config = parts.denoiser.config
    scale = parts.description.guidance if guidance_scale is None else guidance_scale
    guidance = torch.full([1], scale, device=device) if config.guidance_embeds else None
    places = _places(height // 2, width // 2)

    def tell(branches: Sequence[Conditioning], tokens: Tensor) -> dict[str, Any]:
        return {
            "pooled_projections": transformer.pooled(parts, branches, tokens, images),
            "guidance": None if guidance is None else guidance.expand(len(tokens)),
            "txt_ids": tokens.new_zeros(tokens.shape[1], 3),
            "img_ids": places.to(tokens),
        }

    return transformer.predictor(
        parts,
        latent_shape,
        config.joint_attention_dim,
        tell,
        enter=pack,
        leave=lambda tokens: unpack(tokens, height, width),
        clock=lambda timestep: timestep.to(parts.placement.dtype) / 1000,
    )


def pack(latent: Tensor) -> Tensor:
    """A latent (B, C, h, w) as tokens (B, h / 2 * w / 2, C * 4) of 2 x 2 pixels each."""
    images, channels, height, width = latent.shape
    patches = latent.reshape(images, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
    return patches.reshape(images, (height // 2) * (width // 2), channels * 4)


def unpack(tokens: Tensor, height: int, width: int) -> Tensor:
    """The latent (B, C, height, width) that `pack` made `tokens` of."""
    images, _, channels = tokens.shape
    patches = tokens.reshape(images, height // 2, width // 2, channels // 4, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return patches.reshape(images, channels // 4, height, width)


def _places(rows: int, columns: int) -> Tensor:
    """Row and column of each patch (rows * columns, 3), as the transformer's rotary embedding takes them."""
    places = torch.zeros(rows, columns, 3)
    places[..., 1] += torch.arange(rows)[:, None]
    places[..., 2] += torch.arange(columns)[None, :]
    return places.reshape(rows * columns, 3)
