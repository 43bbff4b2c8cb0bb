"""Stable Diffusion 1 and 2 (Rombach et al., 2022, https://arxiv.org/abs/2112.10752): one CLIP text encoder, a UNet."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ...graph.progress import QUIET, Progress
from ..types import Conditioning
from . import clip, unet
from .family import Flow, Predict
from .live import Parts
from .vae import decode, encode_pixels

__all__ = ["decode", "empty", "encode", "encode_pixels", "flow", "predictor"]


def encode(parts: Parts, texts: Sequence[str], clip_skip: int = 0, progress: Progress = QUIET) -> Conditioning:
    """Tokens (N, L, D) of the last layer or the one `clip_skip` before it; the final norm is applied in any case."""
    (encoder,), (tokenizer,) = parts.text_encoders, parts.tokenizers
    clip.check_skip(encoder, clip_skip, first=0)
    batch = clip.chunks(texts, [tokenizer], [encoder], progress)[0]

    def run(ids: Tensor, mask: Tensor | None) -> clip.Encoded:
        if clip_skip == 0:
            return clip.Encoded(encoder(ids, attention_mask=mask)[0])
        hidden = encoder(ids, attention_mask=mask, output_hidden_states=True).hidden_states[-(clip_skip + 1)]
        return clip.Encoded(getattr(encoder, "text_model", encoder).final_layer_norm(hidden))

    return Conditioning(clip.weighted(batch, encoder, parts.placement.device, run).tokens.float().cpu())


def empty(parts: Parts, progress: Progress = QUIET) -> Conditioning:
    """The empty prompt, encoded."""
    return encode(parts, [""], progress=progress)


def flow(parts: Parts, latent_shape: Sequence[int]) -> Flow | None:
    """None: a diffusion model."""
    return None


def predictor(parts: Parts, latent_shape: Sequence[int], guidance_scale: float | None = None) -> Predict:
    """See `Family.predictor`."""
    return unet.predictor(parts, latent_shape, guidance_scale)
