"""Queries, keys and values in awkward shapes and layouts, and how near a kernel must come to its definition."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

Layout = Literal["plain", "transposed", "packed", "spread"]

ROUNDING = {torch.float32: 2.0**-24, torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}
"""What one rounding may change, as a share of the number."""

ROUNDINGS = {torch.float32: 64, torch.float16: 4, torch.bfloat16: 4}
"""How many of them a kernel may be off, of the largest number of the result.

In 16 bits weights are rounded before they meet the values, and the result once more, sums between being float32; slopes
of the scores are rounded too. In 32 bits each of up to 160 products and up to 130 summands is rounded, in another order
than in the reference, and an error of a score is one of its weight.
"""


class Case(NamedTuple):
    batch: int
    heads: int
    queries: int
    keys: int
    head: int
    dtype: torch.dtype = torch.float32
    layout: Layout = "plain"

    def draw(self, *, grad: bool = True) -> tuple[Tensor, Tensor, Tensor]:
        return tuple(tensor(self, length, grad) for length in (self.queries, self.keys, self.keys))  # pyright: ignore[reportReturnType]


def tensor(case: Case, length: int, grad: bool = False) -> Tensor:
    """Random numbers (B, H, L, D), in memory as the layout says."""
    b, h, d, like = case.batch, case.heads, case.head, {"dtype": case.dtype, "device": DEVICE}
    if case.layout == "plain":
        drawn = torch.randn(b, h, length, d, **like)
    elif case.layout == "transposed":  # as projections give it
        drawn = torch.randn(b, length, h, d, **like).transpose(1, 2)
    elif case.layout == "packed":  # one of three that a fused projection gives
        drawn = torch.randn(b, length, 3, h, d, **like)[:, :, 1].transpose(1, 2)
    else:  # no two neighbours in memory
        drawn = torch.randn(b, h, d, 2 * length, **like)[..., ::2].transpose(2, 3)
    return drawn.requires_grad_(grad)


def exact(*tensors: Tensor) -> Any:
    """Copies in double precision, for the reference, as a list."""
    return [tensor.detach().double().requires_grad_(tensor.requires_grad) for tensor in tensors]


def near(got: Tensor, want: Tensor, dtype: torch.dtype) -> None:
    """Fails where a kernel's result is not the reference's, but for rounding."""
    assert got.shape == want.shape
    got, want = got.detach().double(), want.detach().double()
    assert torch.equal(got.isinf(), want.isinf())
    assert not got.isnan().any()
    finite = ~want.isinf()
    if finite.any():
        allowed = ROUNDINGS[dtype] * ROUNDING[dtype] * max(1e-3, want[finite].abs().max().item())
        torch.testing.assert_close(got[finite], want[finite], rtol=0, atol=allowed)


def grads_near(
    got: tuple[Tensor, ...],
    inputs: tuple[Tensor, ...],
    want: tuple[Tensor, ...],
    exact_inputs: list[Tensor],
    dtype: torch.dtype,
) -> None:
    """Fails where gradients of random sums of the results differ."""
    slopes = [torch.randn_like(tensor) for tensor in got]
    ours = torch.autograd.grad(got, inputs, slopes)
    theirs: Any = torch.autograd.grad(want, exact_inputs, [slope.double() for slope in slopes])
    for mine, reference in zip(ours, theirs, strict=True):
        assert mine.dtype == dtype
        near(mine, reference, dtype)
