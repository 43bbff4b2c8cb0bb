"""The descent of FlowOpt: no gradient, the run is a black box.

For a run f from sample x to finished latent, and the latent y it is to give,

    x <- x - eta (f(x) - y)

which would be gradient descent on |f(x) - y|² / 2 if the derivative of f were the identity. For linear symmetric f it
converges where eta < 2 / (the largest eigenvalue of f) and all eigenvalues are positive, and a fixed point is an exact
inversion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from torch import Tensor


class Iterate(NamedTuple):
    """A sample (B, C, h, w), what a run makes of it, and the root mean square of what is missing (B,)."""

    sample: Tensor
    made: Tensor
    residual: Tensor


def descend(
    run: Callable[[Tensor], Tensor], wanted: Tensor, start: Tensor, iterations: int, rate: float
) -> Iterator[Iterate]:
    """`start` and what follows from it: one more than `iterations`, with one `run` each."""
    sample = start
    for iteration in range(iterations + 1):
        made = run(sample)
        missing = made - wanted
        yield Iterate(sample, made, missing.flatten(1).square().mean(1).sqrt())
        if iteration < iterations:
            sample = sample - rate * missing
