"""Negative prompts inside of attention written down a second time, with attention as softmax(Q K^T) V."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from diffusers.models.embeddings import apply_rotary_emb
from torch import Tensor

Combine = Callable[[Tensor, Tensor], Tensor]


def nag(zp: Tensor, zn: Tensor, scale: float = 5.0, tau: float = 2.5, alpha: float = 0.25) -> Tensor:
    zg = scale * zp - (scale - 1) * zn
    n_p, n_g = zp.abs().sum(-1, keepdim=True), zg.abs().sum(-1, keepdim=True)
    ratio = (n_g / n_p.clamp_min(1e-6)).nan_to_num(10.0)
    zg = torch.where(ratio > tau, zg * (n_p * tau / n_g.clamp_min(1e-6)), zg)
    return alpha * zg + (1 - alpha) * zp


class Crossing:
    """A processor for attention to the prompt: what is seen of the tokens `negative` (1, L, D) too, becomes one."""

    def __init__(self, negative: Tensor, combine: Combine, bias: Tensor | None = None) -> None:
        self.negative, self.combine, self.bias = negative, combine, bias

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor, attention_mask: Tensor | None = None
    ) -> Tensor:
        seen = [
            self.see(attn, hidden_states, encoder_hidden_states, attention_mask),
            self.see(attn, hidden_states, self.negative.expand(len(hidden_states), -1, -1), self.bias),
        ]
        return attn.to_out[0](self.combine(*seen))

    @staticmethod
    def see(attn: Any, picture: Tensor, told: Tensor, bias: Tensor | None) -> Tensor:
        query, key, value = (
            each.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for each in (attn.to_q(picture), attn.to_k(told), attn.to_v(told))
        )
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        scores = scores if bias is None else scores + bias[:, None]
        return (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)


def sd3(net: Any, latent: Tensor, timestep: Tensor, told: list[tuple[Tensor, Tensor]], combine: Combine) -> Tensor:
    """The prediction of Stable Diffusion 3 for (tokens, pooled) of the positive and of the negative prompt."""
    times = timestep.expand(len(latent))
    modulations = [net.time_text_embed(times, pooled) for _, pooled in told]
    picture, said = net.pos_embed(latent), [net.context_embedder(tokens) for tokens, _ in told]
    for block in net.transformer_blocks:
        picture, said = _double(block, picture, said, modulations, None, combine)
    out = net.proj_out(net.norm_out(picture, modulations[0]))
    patch, side = net.config.patch_size, latent.shape[-1] // net.config.patch_size
    out = out.unflatten(1, (-1, side)).unflatten(-1, (patch, patch, -1))
    return torch.einsum("nhwpqc->nchpwq", out).reshape(latent.shape)


def flux(
    net: Any, patches: Tensor, time: Tensor, scale: Tensor, ids: Tensor, told: list[tuple[Tensor, Tensor]], combine: Any
) -> Tensor:
    """That of Flux, for packed patches (B, N, C); `ids` are those of prompt and picture."""
    images = len(patches)
    modulations = [
        net.time_text_embed(time.expand(images) * 1000, scale.expand(images) * 1000, pooled) for _, pooled in told
    ]
    rotary = net.pos_embed(ids)
    picture, said = net.x_embedder(patches), [net.context_embedder(tokens) for tokens, _ in told]
    for block in net.transformer_blocks:
        picture, said = _double(block, picture, said, modulations, rotary, combine)
    rows = [torch.cat([each, picture], 1) for each in said]
    length = said[0].shape[1]
    for block in net.single_transformer_blocks:
        normed = [block.norm(row, emb=temb) for row, temb in zip(rows, modulations, strict=True)]
        seen = [_see(block.attn, _heads(block.attn, each, ""), rotary) for each, _ in normed]
        picture = combine(*(each[:, length:] for each in seen))
        seen = [torch.cat([each[:, :length], picture], 1) for each in seen]
        rows = [
            row + gate[:, None] * block.proj_out(torch.cat([each, block.act_mlp(block.proj_mlp(norm))], 2))
            for row, (norm, gate), each in zip(rows, normed, seen, strict=True)
        ]
    return net.proj_out(net.norm_out(rows[0][:, length:], modulations[0]))


def _double(
    block: Any, picture: Tensor, said: list[Tensor], modulations: list[Tensor], rotary: Any, combine: Combine
) -> tuple[Tensor, list[Tensor]]:
    """A block of picture and prompt: the picture is one, and the positive prompt's modulation is its."""
    normed, gate, shift, scale, gate_mlp = block.norm1(picture, emb=modulations[0])
    last = getattr(block, "context_pre_only", False)
    seen, after = [], []
    for each, temb in zip(said, modulations, strict=True):
        if last:
            norm_said = block.norm1_context(each, temb)
        else:
            norm_said, c_gate, c_shift, c_scale, c_gate_mlp = block.norm1_context(each, emb=temb)
        attn, length = block.attn, each.shape[1]
        joined = [
            torch.cat(pair, 2) for pair in zip(_heads(attn, norm_said, "add"), _heads(attn, normed, ""), strict=True)
        ]
        found = _see(attn, joined, rotary)
        seen.append(found[:, length:])
        if not last:
            grown = each + c_gate[:, None] * attn.to_add_out(found[:, :length])
            inner = block.norm2_context(grown) * (1 + c_scale[:, None]) + c_shift[:, None]
            after.append(grown + c_gate_mlp[:, None] * block.ff_context(inner))
    picture = picture + gate[:, None] * block.attn.to_out[0](combine(*seen))
    inner = block.norm2(picture) * (1 + scale[:, None]) + shift[:, None]
    return picture + gate_mlp[:, None] * block.ff(inner), after


def _heads(attn: Any, tokens: Tensor, kind: str) -> list[Tensor]:
    names = ("add_q_proj", "add_k_proj", "add_v_proj") if kind else ("to_q", "to_k", "to_v")
    norms = ("norm_added_q", "norm_added_k", "") if kind else ("norm_q", "norm_k", "")
    found = []
    for name, norm in zip(names, norms, strict=True):
        each = getattr(attn, name)(tokens).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
        change = getattr(attn, norm, None) if norm else None
        found.append(each if change is None else change(each))
    return found


def _see(attn: Any, heads: list[Tensor], rotary: Any) -> Tensor:
    query: Any
    key: Any
    query, key, value = heads
    if rotary is not None:
        query, key = apply_rotary_emb(query, rotary), apply_rotary_emb(key, rotary)
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    return (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)
