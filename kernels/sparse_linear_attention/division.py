"""Which keys a block of queries attends to exactly, which in sum, and which not at all (SLA, Zhang et al., 2025,
https://arxiv.org/abs/2509.24006):

    P = softmax(pool(Q) pool(K)^T / sqrt(D)),  pool: the mean of each block
    of each row of P the largest share `critical` is critical, the smallest share `negligible` negligible, the rest
    marginal

Counts are rounded down, as the authors' code does, but one block at least is critical: with none, short sequences would
attend to nothing. The authors take the mean of all keys from them before; that moves each row of P's exponents by a
constant, and ranks nothing otherwise.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..blocks import Blocks, number, prepare

Over = Literal["marginal", "all"]
"""What linear attention sums over: marginal blocks, as in the paper, or all keys, as the authors' code does since."""


class Division(NamedTuple):
    """`critical` blocks as the kernels read them; `marginal` (B or 1, H or 1, blocks of queries, blocks of keys)."""

    critical: Blocks
    marginal: Tensor


def split(x: Tensor, size: int) -> Tensor:
    """(B, H, L, D) to (B, H, blocks, size, D); zeros fill the last block."""
    blocks = number(x.shape[2], size)
    return pad(x, (0, 0, 0, blocks * size - x.shape[2])).unflatten(2, (blocks, size))


def pool(x: Tensor, size: int) -> Tensor:
    """The mean of each block, the last over as many as it has; (B, H, blocks, D) in float32 at least."""
    sums = split(x, size).sum(3, dtype=torch.promote_types(x.dtype, torch.float32))
    held = torch.full((sums.shape[2], 1), size, device=x.device)
    held[-1] -= sums.shape[2] * size - x.shape[2]
    return sums / held


def counts(blocks: int, critical: float, negligible: float) -> tuple[int, int]:
    """How many of so many blocks of keys are critical, and how many negligible."""
    kept = min(blocks, max(1, int(critical * blocks)))
    return kept, min(blocks - kept, int(negligible * blocks))


@torch.no_grad()
def divide(q: Tensor, k: Tensor, *, critical: float = 0.05, negligible: float = 0.10, size: int = 64) -> Division:
    """For queries and keys (B, H, L, D), to be made again whenever they change; nothing is differentiated.

    `critical` and `negligible` are shares of the blocks of keys, 0 to 1. Raises `ValueError` for others.
    """
    for name, share in (("critical", critical), ("negligible", negligible)):
        if not 0 <= share <= 1:
            raise ValueError(f"{name} is a share of the blocks, 0 to 1, not {share}.")
    scores = pool(q, size) @ pool(k, size).transpose(-1, -2)
    blocks = scores.shape[-1]
    kept, skipped = counts(blocks, critical, negligible)
    ranked = scores.argsort(dim=-1, descending=True, stable=True)
    nothing = torch.zeros_like(scores, dtype=torch.bool)
    chosen = nothing.scatter(-1, ranked[..., :kept], True)
    marginal = nothing.scatter(-1, ranked[..., kept : blocks - skipped], True)
    return Division(prepare(chosen, size), marginal)
