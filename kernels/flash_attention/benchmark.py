"""Attention beside PyTorch's backends, for shapes of Stable Diffusion, Flux and Wan:

python -m latentloom.kernels.flash_attention.benchmark [--backward] [--dtype float16] [--out FILE]
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from ..measure import CROSS, SELF, benchmark, compared, dense, differentiating


def rows(given: Namespace) -> Iterator[dict[str, Any]]:
    from .kernel import flash_attention

    for shape in (*SELF, *CROSS):
        inputs = shape.draw(given.dtype, grad=given.backward)
        back = differentiating(*inputs) if given.backward else lambda out: out
        calls = {"ours": lambda inputs=inputs, back=back: back(flash_attention(*inputs).out), **dense(*inputs, back)}
        yield compared(shape, given, calls, shape.operations * 7 // 2 if given.backward else shape.operations)


if __name__ == "__main__":
    benchmark("Attention by our kernel and by PyTorch's.", rows)
