"""Sparse-linear attention by its definition (SLA, Zhang et al., 2025, https://arxiv.org/abs/2509.24006):

    O^s = softmax over critical blocks only (q k^T / sqrt(D)) v
    O^l = phi(Q) phi(K)^T V / (phi(Q) phi(K)^T 1)   over marginal blocks only,  phi = softmax over the features

and the output is O^s + Proj(O^l), Proj a linear map that training gives and whoever calls applies. In the authors'
later code the second line runs over all keys, with 1e-5 added to the denominator.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..block_sparse_attention.reference import block_sparse_attention
from ..blocks import elements
from .division import Division, Over

EPSILON = 1e-5


class Parts(NamedTuple):
    """O^s and O^l, (B, H, L, D) both."""

    sparse: Tensor
    linear: Tensor


def sparse_linear_attention(
    q: Tensor, k: Tensor, v: Tensor, division: Division, *, over: Over = "marginal", scale: float | None = None
) -> Parts:
    """What `kernel.sparse_linear_attention` computes, with whole matrices in memory, in float32 at least."""
    sparse = block_sparse_attention(q, k, v, division.critical, scale=scale).out
    wide = torch.promote_types(q.dtype, torch.float32)
    weights = q.to(wide).softmax(-1) @ k.to(wide).softmax(-1).transpose(-1, -2)
    if over == "all":
        linear = weights @ v.to(wide) / (weights.sum(-1, keepdim=True) + EPSILON)
    else:
        marginal = division.critical._replace(mask=division.marginal)
        weights = weights * elements(marginal, q.shape[2], k.shape[2])
        total = weights.sum(-1, keepdim=True)
        linear = weights @ v.to(wide) / torch.where(total > 0, total, 1)
    return Parts(sparse, linear.to(q.dtype))
