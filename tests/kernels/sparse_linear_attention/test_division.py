"""Critical, marginal and negligible blocks."""

from __future__ import annotations

import pytest
import torch

from latentloom.kernels.sparse_linear_attention.division import divide, pool


def test_every_block_is_of_one_kind_and_shares_are_kept():
    q, k = torch.randn(2, 3, 130, 16), torch.randn(2, 3, 64 * 20, 16)
    found = divide(q, k, critical=0.1, negligible=0.25)
    assert not (found.critical.mask & found.marginal).any()
    assert (found.critical.mask.sum(-1) == 2).all()
    assert (found.marginal.sum(-1) == 20 - 2 - 5).all()


def test_blocks_are_ranked_by_their_means():
    q, k = torch.randn(1, 1, 64, 16), torch.randn(1, 1, 640, 16)
    found = divide(q, k, critical=0.3, negligible=0.3)
    scores = q.mean(2) @ k.unflatten(2, (10, 64)).mean(3)[0].transpose(-1, -2)
    order = scores.flatten().argsort(descending=True).tolist()
    assert set(found.critical.mask.flatten().nonzero().flatten().tolist()) == set(order[:3])
    assert set(found.marginal.flatten().nonzero().flatten().tolist()) == set(order[3:7])


@pytest.mark.parametrize("share", [0.0, 0.05])
def test_one_block_is_always_critical(share):
    found = divide(torch.randn(1, 1, 70, 8), torch.randn(1, 1, 70, 8), critical=share, negligible=1.0)
    assert (found.critical.mask.sum(-1) == 1).all()
    assert not found.marginal.any()


def test_a_short_last_block_is_the_mean_of_what_it_has():
    x = torch.randn(1, 1, 70, 8)
    torch.testing.assert_close(pool(x, 64)[:, :, 1], x[:, :, 64:].mean(2))


def test_taking_the_mean_of_the_keys_from_them_ranks_nothing_otherwise():
    q, k = (torch.randn(1, 2, 640, 16, dtype=torch.float64) for _ in range(2))
    plain, smooth = divide(q, k, critical=0.3), divide(q, k - k.mean(2, keepdim=True), critical=0.3)
    assert torch.equal(plain.critical.mask, smooth.critical.mask)
    assert torch.equal(plain.marginal, smooth.marginal)


@pytest.mark.parametrize("shares", [{"critical": 1.5}, {"negligible": -0.1}], ids=str)
def test_a_share_is_between_0_and_1(shares):
    with pytest.raises(ValueError, match="share of the blocks, 0 to 1"):
        divide(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8), **shares)
