"""Attention by the kernel is attention by its definition."""

from __future__ import annotations

import pytest
import torch
from attention_cases import DEVICE, Case, exact, grads_near, near

from latentloom.kernels.blocks import elements, prepare
from latentloom.kernels.flash_attention import reference

kernel = pytest.importorskip("latentloom.kernels.flash_attention.kernel")
launch = pytest.importorskip("latentloom.kernels.launch")

F32, F16, BF16 = torch.float32, torch.float16, torch.bfloat16

CASES = [
    Case(2, 1, 1, 77, 40, F32, "transposed"),
    Case(1, 5, 17, 1, 64, F32, "plain"),
    Case(1, 1, 63, 64, 80, BF16, "packed"),
    Case(1, 5, 64, 17, 32, F16, "spread"),
    Case(1, 1, 65, 130, 160, F32, "spread"),
    Case(1, 1, 77, 63, 128, F16, "transposed"),
    Case(1, 1, 130, 65, 40, BF16, "transposed"),
    Case(2, 1, 64, 64, 64, F32, "packed"),
    Case(1, 1, 130, 77, 128, F32, "packed"),
    Case(1, 5, 65, 17, 80, F32, "plain"),
    Case(1, 1, 17, 130, 160, BF16, "plain"),
    Case(1, 5, 63, 1, 32, F32, "transposed"),
    Case(1, 1, 33, 40, 256, F32, "transposed"),
    Case(1, 1, 20, 20, 8, F32, "plain"),
    Case(1, 1, 20, 20, 72, F16, "plain"),
    Case(1, 1, 20, 20, 120, F32, "plain"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_attention_and_its_gradients(case: Case):
    inputs = case.draw()
    wide = exact(*inputs)
    got = kernel.flash_attention(*inputs)
    want = reference.flash_attention(*wide)
    near(got[0], want[0], case.dtype)
    near(got[1], want[1], F32)
    grads_near(got, inputs, want, wide, case.dtype)


@pytest.fixture
def by_descriptors(monkeypatch):
    """Keys and values are loaded by descriptors, whatever a device would choose."""
    import triton

    triton.set_allocator(launch.scratch)
    monkeypatch.setattr(kernel, "tiles", lambda: {"QUERIES": 64, "KEYS": 64, "TMA": True})
    if launch.TUNED:
        monkeypatch.setattr(kernel, "_forward", kernel._forward.fn)


@pytest.mark.parametrize(
    "case",
    [
        Case(1, 2, 17, 65, 64, F16, "transposed"),
        Case(2, 1, 65, 130, 80, F16, "packed"),
        Case(1, 1, 130, 17, 128, F32, "transposed"),
        Case(1, 1, 20, 1, 40, F16, "plain"),
    ],
    ids=str,
)
def test_tiles_by_descriptors(case: Case, by_descriptors):
    inputs = case.draw(grad=False)
    got, want = kernel.flash_attention(*inputs), reference.flash_attention(*exact(*inputs))
    near(got[0], want[0], case.dtype)
    near(got[1], want[1], F32)


def test_tiles_by_descriptors_of_listed_blocks(by_descriptors):
    inputs = Case(1, 2, 130, 150, 80, F16, "transposed").draw(grad=False)
    blocks = prepare(torch.rand(1, 2, 3, 3, device=DEVICE) > 0.5)
    bias = torch.randn(130, 150, device=DEVICE)
    got = kernel.attention(*inputs, blocks=blocks, bias=bias)
    seen = bias.masked_fill(~elements(blocks, 130, 150), -torch.inf)
    near(got.out, reference.flash_attention(*exact(*inputs), bias=seen).out, F16)


@pytest.mark.parametrize("shape", [(1, 1, 1, 77), (2, 1, 17, 77), (1, 2, 17, 1), (2, 2, 17, 77)], ids=str)
@pytest.mark.parametrize("boolean", [False, True])
def test_bias_and_mask_broadcast(shape, boolean):
    case = Case(2, 2, 17, 77, 40)
    inputs = case.draw()
    bias = torch.randn(shape, device=DEVICE)
    bias = bias > 0 if boolean else bias
    wide = exact(*inputs)
    got, want = kernel.flash_attention(*inputs, bias=bias).out, reference.flash_attention(*wide, bias=bias).out
    near(got, want, F32)
    grads_near((got,), inputs, (want,), wide, F32)


@pytest.mark.parametrize(("queries", "keys"), [(130, 130), (33, 70), (70, 33)])
def test_causal(queries, keys):
    inputs = Case(1, 1, queries, keys, 32).draw()
    wide = exact(*inputs)
    got = kernel.flash_attention(*inputs, causal=True).out
    want = reference.flash_attention(*wide, causal=True).out
    near(got, want, F32)
    grads_near((got,), inputs, (want,), wide, F32)


@pytest.mark.parametrize("boolean", [False, True])
def test_a_row_that_sees_nothing_is_zero_and_has_no_gradient(boolean):
    inputs = Case(1, 2, 40, 50, 32).draw()
    seen = torch.ones(40, 50, dtype=torch.bool, device=DEVICE)
    seen[3] = seen[36] = False
    bias = seen if boolean else torch.zeros(40, 50, device=DEVICE).masked_fill(~seen, -torch.inf)
    out, lse = kernel.flash_attention(*inputs, bias=bias)
    assert out[:, :, [3, 36]].count_nonzero() == 0
    assert (lse[:, :, [3, 36]] == -torch.inf).all()
    assert lse[:, :, 4].isfinite().all()
    found = torch.autograd.grad(out.sum(), inputs)
    assert found[0][:, :, [3, 36]].count_nonzero() == 0
    wide = exact(*inputs)
    for mine, theirs in zip(
        found, torch.autograd.grad(reference.flash_attention(*wide, bias=bias).out.sum(), wide), strict=True
    ):
        near(mine, theirs, F32)


def test_one_batch_and_one_head_of_keys_serve_all():
    q = Case(2, 4, 20, 0, 32).draw()[0]
    k = torch.randn(1, 4, 30, 32, device=DEVICE, requires_grad=True)
    v = torch.randn(2, 1, 30, 32, device=DEVICE, requires_grad=True)
    wide = exact(q, k, v)
    got, want = kernel.flash_attention(q, k, v).out, reference.flash_attention(*wide).out
    near(got, want, F32)
    grads_near((got,), (q, k, v), (want,), wide, F32)


def test_scores_far_apart_do_not_overflow():
    q, k, v = Case(1, 1, 40, 130, 32).draw()
    got = kernel.flash_attention(q, k, v, scale=300.0)
    want = reference.flash_attention(*exact(q, k, v), scale=300.0)
    near(got[1], want[1], F32)
    assert not got[0].isnan().any()
    assert got[0].abs().max() <= v.abs().max() * 1.00001


def test_two_halves_of_the_keys_merge_by_their_log_sum_exp():
    """What methods rely on that attend to parts of the keys by turns."""
    q, k, v = Case(1, 2, 33, 150, 40).draw(grad=False)
    (a, lse_a), (b, lse_b) = (
        kernel.flash_attention(q, k[:, :, part], v[:, :, part]) for part in (slice(70), slice(70, None))
    )
    share = torch.sigmoid(lse_a - lse_b)[..., None]
    near(share * a + (1 - share) * b, kernel.flash_attention(q, k, v).out, F32)


def test_the_result_lies_in_memory_as_the_queries_do():
    """So that merging heads after attention copies nothing."""
    q, k, v = Case(2, 3, 20, 20, 32, layout="transposed").draw(grad=False)
    out = kernel.flash_attention(q, k, v).out
    assert out.stride() == q.stride()
    assert out.transpose(1, 2).flatten(2).data_ptr() == out.data_ptr()


def test_two_runs_give_the_same_bits():
    inputs = Case(1, 2, 65, 77, 40).draw()
    first, second = (torch.autograd.grad(kernel.flash_attention(*inputs).out.sum(), inputs) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_operations_are_counted():
    from torch.utils.flop_counter import FlopCounterMode

    q, k, v = Case(2, 3, 20, 30, 40).draw()
    with FlopCounterMode(display=False) as counter:
        out = kernel.flash_attention(q, k, v).out
    assert counter.get_total_flops() == 4 * 2 * 3 * 20 * 30 * 40
    with FlopCounterMode(display=False) as counter:
        out.sum().backward()
    assert counter.get_total_flops() == 10 * 2 * 3 * 20 * 30 * 40


def test_the_operator_keeps_what_pytorch_asks_of_one():
    inputs = Case(1, 1, 8, 8, 16).draw()
    torch.library.opcheck(torch.ops.latentloom.attention, (*inputs, *[None] * 5, 0, 0.25, False))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda q, k, v: (q[0], k[0], v[0]), "takes \\(batch, heads, length, head\\)"),
        (lambda q, k, v: (q, k[:, :, :5], v), "lengths or heads differ"),
        (lambda q, k, v: (q, k[..., :8], v[..., :8]), "lengths or heads differ"),
        (lambda q, k, v: (q, k.half(), v), "of one type"),
        (lambda q, k, v: (q.double(), k.double(), v.double()), "float32, float16 and bfloat16"),
        (lambda q, k, v: (q, k.expand(3, -1, -1, -1), v.expand(2, -1, -1, -1)), "batches or heads differ"),
        (lambda q, k, v: tuple(x.repeat(1, 1, 1, 17) for x in (q, k, v)), "head of 272"),
    ],
)
def test_what_does_not_fit_is_said(change, says):
    with pytest.raises(ValueError, match=says):
        kernel.flash_attention(*change(*Case(1, 2, 8, 9, 16).draw(grad=False)))


def test_a_bias_that_wants_a_gradient_is_refused():
    with pytest.raises(ValueError, match="no gradient for the bias"):
        kernel.flash_attention(*Case(1, 1, 8, 8, 16).draw(), bias=torch.zeros(8, 8, device=DEVICE, requires_grad=True))
