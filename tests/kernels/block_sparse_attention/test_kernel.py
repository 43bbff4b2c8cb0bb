"""Block-sparse attention by the kernel is attention under the mask of its blocks."""

from __future__ import annotations

import pytest
import torch
from attention_cases import DEVICE, Case, exact, grads_near, near

from latentloom.kernels.block_sparse_attention import reference
from latentloom.kernels.blocks import Blocks, number, prepare

kernel = pytest.importorskip("latentloom.kernels.block_sparse_attention.kernel")
flash = pytest.importorskip("latentloom.kernels.flash_attention.kernel")

F32, F16, BF16 = torch.float32, torch.float16, torch.bfloat16


def drawn(case: Case, size: int, batch: int, heads: int) -> Blocks:
    """About half of all blocks, the first block of queries of the first head left with none."""
    mask = torch.rand(batch, heads, number(case.queries, size), number(case.keys, size)) < 0.5
    mask[0, 0, 0] = False
    return prepare(mask.to(DEVICE), size)


@pytest.mark.parametrize(
    ("case", "size", "batch", "heads"),
    [
        (Case(1, 2, 130, 193, 40, F32, "transposed"), 64, 1, 2),
        (Case(2, 1, 65, 130, 64, BF16, "packed"), 64, 2, 1),
        (Case(1, 2, 64, 77, 160, F32, "spread"), 64, 1, 1),
        (Case(1, 1, 150, 260, 32, F16, "plain"), 128, 1, 1),
        (Case(2, 1, 17, 1, 80, F32, "transposed"), 128, 1, 1),
        (Case(1, 5, 63, 65, 128, F32, "plain"), 64, 1, 5),
    ],
    ids=str,
)
def test_attention_and_its_gradients(case: Case, size: int, batch: int, heads: int):
    blocks = drawn(case, size, batch, heads)
    inputs = case.draw()
    wide = exact(*inputs)
    got = kernel.block_sparse_attention(*inputs, blocks)
    want = reference.block_sparse_attention(*wide, blocks=blocks)
    assert got[0][0, 0, :size].count_nonzero() == 0
    assert (got[1][0, 0, :size] == -torch.inf).all()
    near(got[0], want[0], case.dtype)
    near(got[1], want[1], F32)
    grads_near(got, inputs, want, wide, case.dtype)


def test_all_blocks_are_attention():
    q, k, v = Case(1, 2, 130, 150, 40).draw(grad=False)
    blocks = prepare(torch.ones(1, 1, 3, 3, dtype=torch.bool, device=DEVICE))
    near(kernel.block_sparse_attention(q, k, v, blocks).out, flash.flash_attention(q, k, v).out, F32)


def test_no_blocks_are_zero_with_zero_gradients():
    inputs = Case(1, 1, 70, 70, 32).draw()
    out = kernel.block_sparse_attention(*inputs, prepare(torch.zeros(1, 1, 2, 2, dtype=torch.bool, device=DEVICE))).out
    assert out.count_nonzero() == 0
    assert all(grad.count_nonzero() == 0 for grad in torch.autograd.grad(out.sum(), inputs))


def test_operations_are_those_of_the_blocks():
    from torch.utils.flop_counter import FlopCounterMode

    q, k, v = Case(2, 3, 128, 192, 32).draw(grad=False)
    mask = torch.tensor([[True, False, True], [False, True, False]], device=DEVICE)[None, None]
    with FlopCounterMode(display=False) as counter:
        kernel.block_sparse_attention(q, k, v, prepare(mask))
    assert counter.get_total_flops() == 4 * 2 * 3 * 3 * 64 * 64 * 32


def test_a_mask_of_another_length_is_refused():
    blocks = prepare(torch.ones(1, 1, 2, 2, dtype=torch.bool, device=DEVICE))
    with pytest.raises(ValueError, match="are 1 x 1 blocks of 64"):
        kernel.block_sparse_attention(*Case(1, 1, 8, 8, 16).draw(grad=False), blocks)
