"""Sparse-linear attention beside dense attention, with the division made anew each time, as a step would:

python -m latentloom.kernels.sparse_linear_attention.benchmark [--critical 0.05] [--negligible 0.1] [--backward]
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from functools import partial
from typing import Any

from torch import Tensor

from ..measure import SELF, Shape, benchmark, compared, dense, differentiating
from .division import Over, divide


def rows(given: Namespace) -> Iterator[dict[str, Any]]:
    from .kernel import sparse_linear_attention

    shares = {"critical": given.critical, "negligible": given.negligible}

    def ours(q: Tensor, k: Tensor, v: Tensor, over: Over, size: int) -> Tensor:
        parts = sparse_linear_attention(q, k, v, divide(q, k, **shares, size=size), over=over)
        return parts.sparse + parts.linear

    for shape in SELF:
        for size in (64, 128):
            inputs = shape.draw(given.dtype, grad=given.backward)
            back = differentiating(*inputs) if given.backward else lambda out: out
            calls = {
                "ours": lambda i=inputs, size=size, back=back: back(ours(*i, over="marginal", size=size)),
                "over all keys": lambda i=inputs, size=size, back=back: back(ours(*i, over="all", size=size)),
                "division": partial(divide, *inputs[:2], **shares, size=size),
                **dense(*inputs, back),
            }
            kept = divide(*inputs[:2], **shares, size=size).critical.mask.float().mean().item()
            done = operations(shape, kept, size) * (3.5 if given.backward else 1)
            yield {"blocks": size, "critical": kept} | compared(shape, given, calls, int(done))


def operations(shape: Shape, critical: float, size: int) -> float:
    """Those of the critical blocks, and of the linear part: h and its use, and the product of the map with all h."""
    heads, blocks = shape.batch * shape.heads, shape.queries // size
    linear = 4 * shape.queries * shape.head**2 + 2 * blocks**2 * shape.head**2
    return shape.operations * critical + heads * linear


if __name__ == "__main__":
    benchmark("Sparse-linear attention.", rows, critical=0.05, negligible=0.10)
