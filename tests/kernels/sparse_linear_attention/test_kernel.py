"""Sparse-linear attention by the kernel is the one by its definition, gradients too."""

from __future__ import annotations

import pytest
import torch
from attention_cases import Case, exact, grads_near, near

from latentloom.kernels.sparse_linear_attention import reference
from latentloom.kernels.sparse_linear_attention.division import divide

kernel = pytest.importorskip("latentloom.kernels.sparse_linear_attention.kernel")

F32, F16, BF16 = torch.float32, torch.float16, torch.bfloat16


@pytest.mark.parametrize("over", ["marginal", "all"])
@pytest.mark.parametrize(
    ("case", "size"),
    [
        (Case(1, 1, 130, 330, 40, F32, "transposed"), 64),
        (Case(1, 1, 65, 260, 64, BF16, "packed"), 64),
        (Case(1, 1, 17, 300, 80, F16, "spread"), 128),
        (Case(1, 2, 77, 63, 32, F32, "plain"), 64),
        (Case(1, 5, 1, 65, 128, F32, "plain"), 64),
        (Case(1, 1, 64, 130, 160, F32, "transposed"), 64),
    ],
    ids=str,
)
def test_both_parts_and_their_gradients(case: Case, size: int, over):
    inputs = case.draw()
    wide = exact(*inputs)
    division = divide(inputs[0], inputs[1], critical=0.4, negligible=0.2, size=size)
    got = kernel.sparse_linear_attention(*inputs, division, over=over)
    want = reference.sparse_linear_attention(*wide, division=division, over=over)
    for mine, theirs in zip(got, want, strict=True):
        assert mine.dtype == case.dtype
        near(mine, theirs, case.dtype)
    grads_near(got, inputs, want, wide, case.dtype)
