"""Normalized attention guidance by its definition (Chen et al., 2025, https://arxiv.org/abs/2505.21179):

    Z+ = attention(q, k+, v+),  Z- = attention(q, k-, v-)
    Z~ = Z+ + phi (Z+ - Z-)
    R = |Z~|_1 / |Z+|_1                          of each token, over all its heads
    Z^ = Z~ min(R, tau) / R
    Z = alpha Z^ + (1 - alpha) Z+

The paper's scale is phi + 1, 5 for most models, with tau 2.5 and alpha 0.25. At scale 1, at alpha 0, and where both
attentions agree, Z is Z+ to the bit.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..flash_attention.reference import flash_attention


def guided(positive: Tensor, negative: Tensor, guidance: float, tau: float, alpha: float) -> Tensor:
    """Z of two attentions (B, H, L, D), computed in float32 at least and given in their type."""
    dtype = positive.dtype
    positive, negative = (x.to(torch.promote_types(dtype, torch.float32)) for x in (positive, negative))
    beyond = positive + (guidance - 1) * (positive - negative)
    norm, norm_beyond = (tensor.abs().sum((1, 3), keepdim=True) for tensor in (positive, beyond))
    share = torch.where(norm_beyond > tau * norm, tau * norm / norm_beyond, 1.0)
    return (positive + alpha * (beyond * share - positive)).to(dtype)


def nag_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    k_negative: Tensor,
    v_negative: Tensor,
    *,
    guidance: float = 5.0,
    tau: float = 2.5,
    alpha: float = 0.25,
    bias: Tensor | None = None,
    bias_negative: Tensor | None = None,
    scale: float | None = None,
) -> Tensor:
    """What `kernel.nag_attention` computes, in float32 at least."""
    q, k, v, k_negative, v_negative = (
        tensor.to(torch.promote_types(tensor.dtype, torch.float32)) for tensor in (q, k, v, k_negative, v_negative)
    )
    positive = flash_attention(q, k, v, bias=bias, scale=scale).out
    negative = flash_attention(q, k_negative, v_negative, bias=bias_negative, scale=scale).out
    return guided(positive, negative, guidance, tau, alpha)
