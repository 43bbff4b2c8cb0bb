"""Attention to some blocks of keys, for each block of queries: softmax over the keys in them, and over no others.

The walk over keys is that of `flash_attention`; its stations are read from a list, so that a block not attended to
costs nothing. Going back, keys read the transposed list. Which blocks to attend to is the matter of methods: SparseD
(Wang et al., 2025, https://arxiv.org/abs/2509.24014), SLA (Zhang et al., 2025, https://arxiv.org/abs/2509.24006).
"""

from __future__ import annotations

from torch import Tensor

from ..blocks import Blocks, check
from ..flash_attention.kernel import attention
from ..flash_attention.reference import Attention


def block_sparse_attention(q: Tensor, k: Tensor, v: Tensor, blocks: Blocks, *, scale: float | None = None) -> Attention:
    """Attention of queries (B, H, L, D) to keys and values (B, H, M, D) within `blocks` (`blocks.prepare`).

    A block of queries with no block of keys is zero, and its log-sum-exp -inf. All else as in `flash_attention`,
    gradients too. Raises `ValueError` where the blocks do not cover the lengths.
    """
    check(blocks, q, k)
    return attention(q, k, v, blocks=blocks, scale=scale)
