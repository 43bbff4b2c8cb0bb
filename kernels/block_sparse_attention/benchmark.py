"""Block-sparse attention with random blocks beside dense attention, which computes them all:

python -m latentloom.kernels.block_sparse_attention.benchmark [--keep 0.1] [--backward] [--out FILE]
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from typing import Any

import torch

from .. import measure
from ..blocks import Blocks, number, prepare
from ..measure import SELF, Shape, benchmark, compared, dense, differentiating


def drawn(shape: Shape, keep: float, size: int) -> Blocks:
    """As many blocks of keys for every block of queries, at random."""
    blocks = number(shape.keys, size)
    scores = torch.rand(shape.batch, shape.heads, number(shape.queries, size), blocks, device=measure.DEVICE)
    best = scores.topk(max(1, round(keep * blocks)), -1).indices
    return prepare(torch.zeros_like(scores, dtype=torch.bool).scatter_(-1, best, True), size)


def rows(given: Namespace) -> Iterator[dict[str, Any]]:
    from .kernel import block_sparse_attention

    for shape in SELF:
        for size in (64, 128):
            inputs, blocks = shape.draw(given.dtype, grad=given.backward), drawn(shape, given.keep, size)
            back = differentiating(*inputs) if given.backward else lambda out: out
            calls = {
                "ours": lambda i=inputs, b=blocks, back=back: back(block_sparse_attention(*i, blocks=b).out),
                **dense(*inputs, back),
            }
            share = blocks.mask.float().mean().item()
            done = shape.operations * share * (3.5 if given.backward else 1)
            yield {"blocks": size, "kept": share} | compared(shape, given, calls, int(done))


if __name__ == "__main__":
    benchmark("Attention to a share `keep` of the blocks of keys.", rows, keep=0.1)
