"""Stable Diffusion XL (Podell et al., 2023, https://arxiv.org/abs/2307.01952): two CLIP text encoders side by side, the
second's pooled embedding, and the picture's size told to the UNet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor
from transformers import CLIPTextConfig

from ...graph.progress import QUIET, Progress
from ..types import Conditioning
from . import clip, unet
from .family import Flow, Predict
from .inspect import read_json, root
from .live import Parts
from .vae import decode, encode_pixels

__all__ = ["decode", "empty", "encode", "encode_pixels", "flow", "predictor"]


def encode(parts: Parts, texts: Sequence[str], clip_skip: int = 0, progress: Progress = QUIET) -> Conditioning:
    """Tokens (N, L, D1 + D2) of the last layer but one of both encoders, or of `clip_skip` before it, without the final
    norm; pooled (N, P) of the second encoder, of each prompt's first chunk and without weights."""
    encoders, tokens, pooled = parts.text_encoders, [], None
    for encoder in encoders:
        clip.check_skip(encoder, clip_skip, first=1)
    batches = clip.chunks(texts, parts.tokenizers, encoders, progress)
    for encoder, batch in zip(encoders, batches, strict=True):

        def run(ids: Tensor, mask: Tensor | None, encoder=encoder) -> clip.Encoded:
            out = encoder(ids, output_hidden_states=True)
            return clip.Encoded(out.hidden_states[-(clip_skip + 2)], out[0] if out[0].ndim == 2 else None)

        encoded = clip.weighted(batch, encoder, parts.placement.device, run)
        tokens.append(encoded.tokens)
        pooled = encoded.pooled if pooled is None else pooled
    return Conditioning(torch.cat(tokens, dim=-1).float().cpu(), None if pooled is None else pooled.float().cpu())


def empty(parts: Parts, progress: Progress = QUIET) -> Conditioning:
    """Zeros where the model was trained with them (`force_zeros_for_empty_prompt`), else the empty prompt, encoded."""
    folder = root(parts.model)
    if not read_json(folder / "model_index.json").get("force_zeros_for_empty_prompt", True):
        return encode(parts, [""], progress=progress)
    first, second = (
        CLIPTextConfig(**read_json(folder / name / "config.json")) for name in ("text_encoder", "text_encoder_2")
    )
    tokens = torch.zeros(1, first.max_position_embeddings, first.hidden_size + second.hidden_size)
    return Conditioning(tokens, torch.zeros(1, cast(int, second.projection_dim)))


def flow(parts: Parts, latent_shape: Sequence[int]) -> Flow | None:
    """None: a diffusion model."""
    return None


def predictor(parts: Parts, latent_shape: Sequence[int], guidance_scale: float | None = None) -> Predict:
    """See `Family.predictor`. Original and target size are the picture's, nothing cropped, as in the stock pipeline."""
    factor = parts.description.factor
    size = (latent_shape[-2] * factor, latent_shape[-1] * factor)
    return unet.predictor(parts, latent_shape, guidance_scale, time_ids=(*size, 0, 0, *size))
