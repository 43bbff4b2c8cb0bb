"""Stable Diffusion 3's transformer over some of its image tokens; the others are seen through the keys and values they
last had.

    h = embed(x)[active];  each block on (h, prompt), attending to the keys and values of all image tokens, those of the
    active ones new, and of the prompt;  prediction[active] = out(h), elsewhere as it last was
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own custom
from torch import Tensor

from ..models.attentions import check_native


class KeepingAttention:
    """diffusers' `JointAttnProcessor2_0`, operation by operation, that keeps keys and values (B, heads, N, D) of the
    image tokens when it sees all, and puts those of `active` (B, n) among them when it sees some."""

    def __init__(self) -> None:
        self.keys: Tensor | None = None
        self.values: Tensor | None = None
        self.active: Tensor | None = None

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        query, key, value = (
            _heads(projected(hidden_states), attn.heads) for projected in (attn.to_q, attn.to_k, attn.to_v)
        )
        query, key = _normed(attn.norm_q, query), _normed(attn.norm_k, key)
        if self.active is not None and self.keys is not None and self.values is not None:
            places = self.active[:, None, :, None].expand_as(key)
            key, value = self.keys.scatter_(2, places, key), self.values.scatter_(2, places, value)
        self.keys, self.values = key, value
        if encoder_hidden_states is not None:
            told = (
                _heads(projected(encoder_hidden_states), attn.heads)
                for projected in (attn.add_q_proj, attn.add_k_proj, attn.add_v_proj)
            )
            told_query, told_key, told_value = told
            query = torch.cat([query, _normed(attn.norm_added_q, told_query)], dim=2)
            key = torch.cat([key, _normed(attn.norm_added_k, told_key)], dim=2)
            value = torch.cat([value, told_value], dim=2)
        found = F.scaled_dot_product_attention(query, key, value)
        found = found.transpose(1, 2).flatten(2).to(query.dtype)
        seen = found[:, : hidden_states.shape[1]]
        if encoder_hidden_states is None:
            return attn.to_out[1](attn.to_out[0](seen))
        said = found[:, hidden_states.shape[1] :]
        if not attn.context_pre_only:
            said = attn.to_add_out(said)
        return attn.to_out[1](attn.to_out[0](seen)), said


@contextmanager
def keeping(transformer: Any) -> Iterator[list[KeepingAttention]]:
    """The attentions of `transformer` keep keys and values while the context lasts. Raises `NodeError` where something
    else than diffusers' own attention stands there."""
    attentions = [
        attention
        for block in transformer.transformer_blocks
        for attention in (block.attn, block.attn2)
        if attention is not None
    ]
    check_native(attentions, "Region-adaptive sampling")
    before = [attention.processor for attention in attentions]
    made = [KeepingAttention() for _ in attentions]
    try:
        for attention, processor in zip(attentions, made, strict=True):
            attention.processor = processor
        yield made
    finally:
        for attention, processor in zip(attentions, before, strict=True):
            attention.processor = processor


def kept(processors: Sequence[KeepingAttention]) -> list[Tensor]:
    """Keys and values of all `processors`, which let them go."""
    tensors = [tensor for each in processors for tensor in (each.keys, each.values) if tensor is not None]
    for each in processors:
        each.keys = each.values = each.active = None
    return tensors


def give(processors: Sequence[KeepingAttention], tensors: Sequence[Tensor], active: Tensor) -> None:
    """What `kept` gave, for a pass over the `active` tokens (B, n)."""
    for each, keys, values in zip(processors, tensors[::2], tensors[1::2], strict=True):
        each.keys, each.values, each.active = keys, values, active


def predict(
    transformer: Any,
    active: Tensor,
    hidden_states: Tensor,
    encoder_hidden_states: Tensor,
    pooled_projections: Tensor,
    timestep: Tensor,
) -> Tensor:
    """What `transformer` predicts for the `active` tokens (B, n) of a latent (B, C, h, w): (B, n, patch² · C)."""
    hidden = transformer.pos_embed(hidden_states)
    hidden = hidden.gather(1, active[..., None].expand(-1, -1, hidden.shape[-1]))
    told = transformer.time_text_embed(timestep, pooled_projections)
    said = transformer.context_embedder(encoder_hidden_states)
    for block in transformer.transformer_blocks:
        said, hidden = block(hidden_states=hidden, encoder_hidden_states=said, temb=told)
    return transformer.proj_out(transformer.norm_out(hidden, told))


def tokens(latent: Tensor, patch: int) -> Tensor:
    """A latent (B, C, h, w) as tokens (B, N, patch² · C), as the transformer's last layer gives them."""
    images, channels, height, width = latent.shape
    patches = latent.reshape(images, channels, height // patch, patch, width // patch, patch)
    return patches.permute(0, 2, 4, 3, 5, 1).reshape(images, -1, patch * patch * channels)


def picture(rows: Tensor, patch: int, height: int, width: int) -> Tensor:
    """The latent (B, C, height, width) that `tokens` made `rows` of."""
    images, channels = rows.shape[0], rows.shape[-1] // patch**2
    patches = rows.reshape(images, height // patch, width // patch, patch, patch, channels)
    return patches.permute(0, 5, 1, 3, 2, 4).reshape(images, channels, height, width)


def _heads(projected: Tensor, heads: int) -> Tensor:
    return projected.unflatten(-1, (heads, -1)).transpose(1, 2)


def _normed(norm: Any, tensor: Tensor) -> Tensor:
    return tensor if norm is None else norm(tensor)
