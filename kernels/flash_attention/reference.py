"""Attention by its definition, in plain PyTorch:

    S = q k^T scale + bias,  P = softmax(S),  O = P v,  lse = log sum exp S

A row whose keys are all masked has lse = -inf and O = 0.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Attention(NamedTuple):
    """O (B, H, L, D) in the type of q, and lse (B, H, L)."""

    out: Tensor
    lse: Tensor


def flash_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    bias: Tensor | None = None,
    scale: float | None = None,
    causal: bool = False,
) -> Attention:
    """What `kernel.flash_attention` computes, with the whole matrix of scores in memory, in float32 at least."""
    wide = torch.promote_types(q.dtype, torch.float32)
    scores = q.to(wide) @ k.to(wide).transpose(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if bias is not None:
        scores = scores.masked_fill(~bias, -torch.inf) if bias.dtype == torch.bool else scores + bias.to(wide)
    if causal:
        scores = scores.masked_fill(~torch.ones_like(scores, dtype=torch.bool).tril(), -torch.inf)
    empty = (scores == -torch.inf).all(-1, keepdim=True)
    lse = scores.masked_fill(empty, 0).logsumexp(-1, keepdim=True)
    out = ((scores - lse).exp() @ v.to(wide)).to(q.dtype)
    return Attention(out, lse.masked_fill(empty, -torch.inf).squeeze(-1))
