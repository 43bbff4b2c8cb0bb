"""Which blocks of keys each block of queries attends to, as the kernels read it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

SIZES = (8, 16, 32, 64, 128)
TILED = (64, 128)
"""Sizes in which our kernels skip blocks; shorter ones are for short sequences, where the definition does."""


class Lists(NamedTuple):
    """Of each row of blocks: how many others it meets, (B, H, n), and which, in order, (B, H, n, m); int32."""

    counts: Tensor
    order: Tensor


class Blocks(NamedTuple):
    """A block mask made ready, to be made once and used in every step and layer that shares it.

    `mask` is (B or 1, H or 1, blocks of queries, blocks of keys), True where a block is attended to; the last block of
    a length may be short. `size` is the length of a block, of queries and of keys.
    """

    mask: Tensor
    size: int
    of_queries: Lists
    of_keys: Lists


def prepare(mask: Tensor, size: int = 64) -> Blocks:
    """Raises `ValueError` for a mask that is not boolean with four axes, and for a size that is none of `SIZES`."""
    if mask.dtype != torch.bool or mask.ndim != 4:
        raise ValueError(f"a block mask is boolean with 4 axes, not {mask.dtype} with {mask.ndim}.")
    if size not in SIZES:
        raise ValueError(f"blocks are {', '.join(map(str, SIZES[:-1]))} or {SIZES[-1]} long, not {size}.")
    return Blocks(mask, size, _lists(mask), _lists(mask.transpose(-1, -2)))


def _lists(mask: Tensor) -> Lists:
    order = mask.to(torch.uint8).argsort(dim=-1, descending=True, stable=True)
    return Lists(mask.sum(-1, dtype=torch.int32), order.to(torch.int32).contiguous())


def number(length: int, size: int) -> int:
    """How many blocks a length takes."""
    return -(-length // size)


def elements(blocks: Blocks, queries: int, keys: int) -> Tensor:
    """The mask of single queries and keys, (B or 1, H or 1, queries, keys)."""
    wide = blocks.mask.repeat_interleave(blocks.size, -2).repeat_interleave(blocks.size, -1)
    return wide[..., :queries, :keys]


def check(blocks: Blocks, q: Tensor, k: Tensor) -> None:
    """Raises `ValueError` where blocks do not cover these queries and keys, or were made for other heads."""
    expected = (number(q.shape[2], blocks.size), number(k.shape[2], blocks.size))
    if tuple(blocks.mask.shape[2:]) != expected:
        raise ValueError(
            f"{q.shape[2]} queries and {k.shape[2]} keys are {expected[0]} x {expected[1]} blocks of {blocks.size}, "
            f"the mask has {blocks.mask.shape[2]} x {blocks.mask.shape[3]}."
        )
    for name, axis in (("batch", 0), ("heads", 1)):
        if blocks.mask.shape[axis] not in (1, max(q.shape[axis], k.shape[axis])):
            raise ValueError(f"{name}: the mask has {blocks.mask.shape[axis]}, the queries {q.shape[axis]}.")
