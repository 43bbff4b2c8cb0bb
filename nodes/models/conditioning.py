"""Several conditionings as one batch for the denoiser."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ...graph.node import NodeError
from ..types import Conditioning


def batch(branches: Sequence[Conditioning], images: int) -> tuple[Tensor, Tensor | None]:
    """Tokens (branches * images, L, D) and pooled (branches * images, P), branch by branch.

    Prompts of different lengths are made equally long by repeating each to the least common multiple: attention over
    keys and values that are all repeated equally often is the attention over them once, so nothing else changes
    (ComfyUI does this too, `CONDCrossAttn` in comfy/conds.py).
    """
    length = math.lcm(*(branch.tokens.shape[1] for branch in branches))
    tokens = [branch.tokens.repeat(1, length // branch.tokens.shape[1], 1) for branch in branches]
    pooled = [branch.pooled for branch in branches if branch.pooled is not None]
    if len(pooled) not in (0, len(branches)) or len({t.shape[-1] for t in tokens}) > 1:
        raise NodeError("The prompts were encoded with models of different families; encode all with one model.")
    every = torch.cat([_each(rows, images) for rows in tokens])
    return every, torch.cat([_each(rows, images) for rows in pooled]) if pooled else None


def _each(rows: Tensor, images: int) -> Tensor:
    if rows.shape[0] not in (1, images):
        raise NodeError(f"There are {rows.shape[0]} prompts for {images} images; give one, or one for each.")
    return rows if rows.shape[0] == images else rows.repeat(images, *([1] * (rows.ndim - 1)))
