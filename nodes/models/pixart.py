"""PixArt Alpha (Chen et al., 2023, https://arxiv.org/abs/2310.00426) and Sigma (Chen et al., 2024,
https://arxiv.org/abs/2403.04692): T5's tokens by cross-attention in a transformer that diffuses as UNets do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ...graph.node import NodeError
from ...graph.progress import QUIET, Progress
from ..types import Conditioning
from . import t5, transformer
from .conditioning import rows
from .family import Flow, Predict
from .inspect import read_json, root
from .live import Parts
from .transformer import check_no_skip
from .vae import decode, encode_pixels

__all__ = ["decode", "empty", "encode", "encode_pixels", "flow", "predictor"]

LENGTHS = {"PixArtAlphaPipeline": 120, "PixArtSigmaPipeline": 300}
"""Tokens that T5 reads, as in the stock pipelines."""


def encode(parts: Parts, texts: Sequence[str], clip_skip: int = 0, progress: Progress = QUIET) -> Conditioning:
    """Tokens (N, T, D) of T5, weights applied, and their mask (N, T). Texts are read in lower case, as the stock
    pipelines do with `clean_caption=False`."""
    check_no_skip(clip_skip, "PixArt")
    (encoder,), (tokenizer,) = parts.text_encoders, parts.tokenizers
    kind = str(read_json(root(parts.model) / "model_index.json")["_class_name"])
    length, device = t5.length_of(tokenizer, LENGTHS[kind]), parts.placement.device
    said = [text.strip() for text in texts]
    read = t5.encode(encoder, tokenizer, said, length, device, progress, masked=True, change=str.lower)
    return Conditioning(read.tokens, mask=read.mask)


def empty(parts: Parts, progress: Progress = QUIET) -> Conditioning:
    """The empty prompt, encoded."""
    return encode(parts, [""], progress=progress)


def flow(parts: Parts, latent_shape: Sequence[int]) -> Flow | None:
    """None: a diffusion model."""
    return None


def predictor(parts: Parts, latent_shape: Sequence[int], guidance_scale: float | None = None) -> Predict:
    """See `Family.predictor`. What the network says of its own error, in channels behind the prediction, is dropped."""
    images, channels, height, width = latent_shape
    denoiser, factor = parts.denoiser, parts.description.factor

    def tell(branches: Sequence[Conditioning], tokens: Tensor) -> dict[str, Any]:
        size: dict[str, Tensor | None] = {"resolution": None, "aspect_ratio": None}
        if denoiser.use_additional_conditions:
            size = {
                "resolution": tokens.new_tensor([[height * factor, width * factor]]).repeat(len(tokens), 1),
                "aspect_ratio": tokens.new_tensor([[height / width]]).repeat(len(tokens), 1),
            }
        mask = rows([_mask_of(parts, branch) for branch in branches], images).to(tokens.device)
        return {"encoder_attention_mask": mask, "added_cond_kwargs": size}

    return transformer.predictor(
        parts,
        latent_shape,
        denoiser.config.caption_channels,
        tell,
        leave=lambda predicted: predicted[:, :channels],
    )


def _mask_of(parts: Parts, branch: Conditioning) -> Tensor:
    if branch.mask is None:
        raise NodeError(
            f"{parts.model.source} is told which tokens are padding too; encode the prompt with this model."
        )
    return branch.mask
