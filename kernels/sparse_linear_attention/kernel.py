"""Sparse-linear attention: critical blocks by the block-sparse kernel, marginal ones in sum, negligible ones not at all
(SLA, Zhang et al., 2025, https://arxiv.org/abs/2509.24006; the mathematics stands in `reference` and `linear`).
"""

from __future__ import annotations

from torch import Tensor

from ..block_sparse_attention.kernel import block_sparse_attention
from ..launch import checked
from .division import Division, Over
from .linear import linear_attention
from .reference import Parts


def sparse_linear_attention(
    q: Tensor, k: Tensor, v: Tensor, division: Division, *, over: Over = "marginal", scale: float | None = None
) -> Parts:
    """O^s and O^l of queries, keys and values (B, H, L, D), for `division` (`division.divide`).

    The output of the layer is sparse + Proj(linear), Proj learned. Differentiable in q, k and v, the division being
    given. Shapes and types as in `flash_attention`. Raises `ValueError` for what does not fit.
    """
    q, k, v = checked(q, k, v)
    sparse = block_sparse_attention(q, k, v, division.critical, scale=scale).out
    return Parts(sparse, linear_attention(q, k, v, division, over))
