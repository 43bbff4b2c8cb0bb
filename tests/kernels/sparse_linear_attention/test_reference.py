"""Sparse-linear attention against forms written another way."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from latentloom.kernels.block_sparse_attention import reference as block_sparse
from latentloom.kernels.flash_attention import reference as dense
from latentloom.kernels.sparse_linear_attention.division import Over, divide
from latentloom.kernels.sparse_linear_attention.linear import linear_attention
from latentloom.kernels.sparse_linear_attention.reference import sparse_linear_attention


def drawn(queries: int = 192, keys: int = 320, head: int = 16) -> list[Tensor]:
    torch.manual_seed(0)
    return [torch.randn(2, 2, length, head, dtype=torch.float64) for length in (queries, keys, keys)]


def published(q: Tensor, k: Tensor, v: Tensor, share: float, over: Over, size: int = 64) -> tuple[Tensor, Tensor]:
    """As the authors' code does it, which knows no negligible blocks: (B, H, L, D), whole blocks, in plain steps."""
    means = [x.unflatten(-2, (-1, size)).mean(-2) for x in (q, k - k.mean(-2, keepdim=True))]
    scores = means[0] @ means[1].transpose(-1, -2)
    best = scores.topk(max(1, int(share * scores.shape[-1])), -1).indices
    mask = torch.zeros_like(scores).scatter_(-1, best, 1).bool()
    mask = mask.repeat_interleave(size, -2).repeat_interleave(size, -1)
    sparse = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).masked_fill(~mask, -math.inf).softmax(-1) @ v
    fq, fk = q.softmax(-1), k.softmax(-1)
    if over == "all":
        total = (fq * fk.sum(-2, keepdim=True)).sum(-1, keepdim=True)
        return sparse, fq @ (fk.transpose(-1, -2) @ v) / (1e-5 + total)
    weights = (fq @ fk.transpose(-1, -2)).masked_fill(mask, 0)
    return sparse, weights @ v / weights.sum(-1, keepdim=True)


@pytest.mark.parametrize("over", ["marginal", "all"])
def test_without_negligible_blocks_it_is_what_the_authors_publish(over: Over):
    q, k, v = drawn()
    found = sparse_linear_attention(q, k, v, divide(q, k, critical=0.4, negligible=0), over=over)
    for mine, theirs in zip(found, published(q, k, v, 0.4, over), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_all_critical_is_attention():
    q, k, v = drawn()
    found = sparse_linear_attention(q, k, v, divide(q, k, critical=1.0, negligible=0.1))
    torch.testing.assert_close(found.sparse, dense.flash_attention(q, k, v).out)
    assert found.linear.count_nonzero() == 0


def test_the_sparse_part_is_block_sparse_attention():
    q, k, v = drawn()
    division = divide(q, k, critical=0.4)
    expected = block_sparse.block_sparse_attention(q, k, v, division.critical).out
    assert torch.equal(sparse_linear_attention(q, k, v, division, over="all").sparse, expected)


@pytest.mark.parametrize("over", ["marginal", "all"])
def test_the_order_of_the_blocks_of_keys_does_not_matter(over: Over):
    q, k, v = drawn()
    first = sparse_linear_attention(q, k, v, divide(q, k, critical=0.4, negligible=0.2), over=over)
    k, v = (x.unflatten(2, (5, 64))[:, :, [3, 0, 4, 2, 1]].flatten(2, 3) for x in (k, v))
    second = sparse_linear_attention(q, k, v, divide(q, k, critical=0.4, negligible=0.2), over=over)
    for one, other in zip(first, second, strict=True):
        torch.testing.assert_close(one, other)


def test_negligible_blocks_have_no_part():
    q, k, v = drawn()
    division = divide(q, k, critical=0.2, negligible=0.4)
    skipped = ~(division.critical.mask | division.marginal)[0, 0, 0]
    v[0, 0].unflatten(0, (5, 64))[skipped] = torch.nan
    v = v.nan_to_num(nan=1e6)
    found = sparse_linear_attention(q, k, v, division)
    assert max(part[0, 0, :64].abs().max() for part in found) < 10


@pytest.mark.parametrize("over", ["marginal", "all"])
@pytest.mark.parametrize(("queries", "keys", "size"), [(192, 320, 64), (1, 330, 64), (130, 65, 64), (200, 600, 128)])
def test_products_of_small_matrices_are_the_linear_part(over: Over, queries, keys, size):
    q, k, v = (x.requires_grad_() for x in drawn(queries, keys))
    division = divide(q, k, critical=0.3, negligible=0.2, size=size)
    small = linear_attention(q, k, v, division, over)
    whole = sparse_linear_attention(q, k, v, division, over=over).linear
    torch.testing.assert_close(small, whole)
    slopes = torch.randn_like(small)
    ours, theirs = (torch.autograd.grad(x, (q, k, v), slopes, materialize_grads=True) for x in (small, whole))
    for mine, reference in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, reference)


def test_thousands_of_keys_fit_float16():
    q, k, v = (x.half() for x in drawn(64, 8192))
    v = 500 * v.abs()
    found = linear_attention(q, k, v, divide(q, k, critical=0.01, negligible=0), "marginal")
    assert found.isfinite().all()
