"""The linear part of sparse-linear attention, as products of matrices that are never L x L:

    h_j = phi(K_j)^T V_j,  z_j = phi(K_j)^T 1            of each block of keys
    H_i = sum over marginal j of h_j,  Z_i likewise      of each block of queries: one product, of the map with all h
    O^l_i = phi(Q_i) H_i / (phi(Q_i) Z_i)

All of it is dense multiplication, which PyTorch's own kernels do, and differentiate. Sums are kept as means: the
quotient is the same, and thousands of keys do not leave the range of float16.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .division import Division, Over, split
from .reference import EPSILON


def linear_attention(q: Tensor, k: Tensor, v: Tensor, division: Division, over: Over = "marginal") -> Tensor:
    """O^l of queries, keys and values (B, H, L, D), in their type."""
    features, of_keys = q.softmax(-1), k.softmax(-1)
    if over == "all":
        length = k.shape[2]
        held = of_keys.transpose(-1, -2) / length @ v
        total = of_keys.mean(-2, keepdim=True, dtype=torch.promote_types(k.dtype, torch.float32))
        weight = (features * total).sum(-1, keepdim=True) + EPSILON / length
        return (features @ held / weight).to(q.dtype)
    size = division.critical.size
    blocks = split(of_keys, size) / size
    held = blocks.transpose(-1, -2) @ split(v, size)
    count = division.marginal.sum(-1, keepdim=True)
    shares = (division.marginal / count.clamp(min=1)).to(q.dtype)
    shares = shares.expand(*q.shape[:2], -1, -1)
    sums = (shares @ held.flatten(-2)).unflatten(-1, held.shape[-2:])
    totals = (shares @ blocks.sum(3)).unsqueeze(3)
    rows = split(features, size)
    weight = (rows * totals).sum(-1, keepdim=True, dtype=torch.promote_types(q.dtype, torch.float32))
    out = rows @ sums / torch.where(weight > 0, weight, 1)
    return out.to(q.dtype).flatten(2, 3)[:, :, : q.shape[2]]
