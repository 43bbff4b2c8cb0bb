"""Stable Diffusion 3 and 3.5 (Esser et al., 2024, https://arxiv.org/abs/2403.03206): two CLIP text encoders side by
side, T5 behind them or zeros in its place, and a transformer that reads picture and prompt as one sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ...graph.progress import QUIET, Progress
from ..types import Conditioning
from . import clip, t5, transformer
from .family import Flow, Predict
from .inspect import read_json, root
from .live import Parts
from .shift import flow_of
from .vae import decode, encode_pixels

__all__ = ["decode", "empty", "encode", "encode_pixels", "flow", "predictor"]

LENGTH = 256
"""Tokens that T5 reads, or zeros in its place, as the stock pipeline has them."""


def encode(parts: Parts, texts: Sequence[str], clip_skip: int = 0, progress: Progress = QUIET) -> Conditioning:
    """Tokens (N, K * L + T, D): those of the last layer but one of both CLIP encoders, or of `clip_skip` before it,
    joined along D and filled up with zeros, then T5's. Pooled (N, P1 + P2) of both, of each prompt's first chunk and
    without weights."""
    (first, second, *third), (*tokenizers,) = parts.text_encoders, parts.tokenizers
    encoders = (first, second)
    for encoder in encoders:
        clip.check_skip(encoder, clip_skip, first=1)
    tokens, pooled = [], []
    for encoder, batch in zip(encoders, clip.chunks(texts, tokenizers[:2], encoders, progress), strict=True):

        def run(ids: Tensor, mask: Tensor | None, encoder=encoder) -> clip.Encoded:
            out = encoder(ids, output_hidden_states=True)
            return clip.Encoded(out.hidden_states[-(clip_skip + 2)], out[0])

        read = clip.weighted(batch, encoder, parts.placement.device, run)
        tokens.append(read.tokens)
        pooled.append(read.pooled)
    joined = torch.cat(tokens, dim=-1).float().cpu()
    last = tokenizers[2] if len(tokenizers) > 2 else None
    length = t5.length_of(last, LENGTH)
    if third:
        tail = t5.encode(third[0], last, texts, length, parts.placement.device, progress).tokens
    else:
        width = int(read_json(root(parts.model) / "transformer" / "config.json")["joint_attention_dim"])
        tail = torch.zeros(len(texts), length, width)
    joined = functional.pad(joined, (0, tail.shape[-1] - joined.shape[-1]))
    return Conditioning(torch.cat([joined, tail], dim=-2), torch.cat(pooled, dim=-1).float().cpu())


def empty(parts: Parts, progress: Progress = QUIET) -> Conditioning:
    """The empty prompt, encoded."""
    return encode(parts, [""], progress=progress)


def flow(parts: Parts, latent_shape: Sequence[int]) -> Flow | None:
    """See `Family.flow`."""
    patch = parts.description.multiple // parts.description.factor
    return flow_of(parts, (latent_shape[-2] // patch) * (latent_shape[-1] // patch))


def predictor(parts: Parts, latent_shape: Sequence[int], guidance_scale: float | None = None) -> Predict:
    """See `Family.predictor`."""

    def tell(branches: Sequence[Conditioning], tokens: Tensor) -> dict[str, Any]:
        return {"pooled_projections": transformer.pooled(parts, branches, tokens, latent_shape[0])}

    return transformer.predictor(parts, latent_shape, parts.denoiser.config.joint_attention_dim, tell)
