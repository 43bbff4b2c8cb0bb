"""Block-sparse attention by its definition: attention under the mask of single queries and keys that blocks make."""

from __future__ import annotations

from torch import Tensor

from ..blocks import Blocks, check, elements
from ..flash_attention.reference import Attention, flash_attention


def block_sparse_attention(q: Tensor, k: Tensor, v: Tensor, blocks: Blocks, *, scale: float | None = None) -> Attention:
    """What `kernel.block_sparse_attention` computes, with the whole matrix of scores in memory."""
    check(blocks, q, k)
    seen = elements(blocks, q.shape[2], k.shape[2])
    return flash_attention(q, k, v, bias=seen, scale=scale)
