"""Guided cross-attention beside two of PyTorch's attentions with the guidance in plain steps:

python -m latentloom.kernels.nag_attention.benchmark [--dtype float16] [--out FILE]
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from typing import Any

import torch
from torch.nn.attention import sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from ..implementations import BACKENDS
from ..measure import CROSS, benchmark, compared, dense
from .reference import guided


@torch.no_grad()
def rows(given: Namespace) -> Iterator[dict[str, Any]]:
    from .kernel import nag_attention

    if given.backward:
        raise SystemExit("Guided attention has no gradient: leave --backward out.")
    for shape in CROSS:
        q, k, v = shape.draw(given.dtype)
        _, k_negative, v_negative = shape.draw(given.dtype)

        def plain(name: str, q=q, k=k, v=v, k_negative=k_negative, v_negative=v_negative) -> object:
            with sdpa_kernel(BACKENDS[name]):
                positive = scaled_dot_product_attention(q, k, v)
                negative = scaled_dot_product_attention(q, k_negative, v_negative)
            return guided(positive, negative, 5.0, 2.5, 0.25)

        calls = {
            "ours": lambda q=q, k=k, v=v, kn=k_negative, vn=v_negative: nag_attention(q, k, v, kn, vn),
            **{name: lambda name=name, plain=plain: plain(name) for name in dense(q, k, v, lambda out: out)},
        }
        yield compared(shape, given, calls, 2 * shape.operations)


if __name__ == "__main__":
    benchmark("Cross-attention with normalized attention guidance.", rows)
