"""Attention by hashing: exact where it says so, near where few keys matter, and as sparse as it says."""

from __future__ import annotations

import pytest
import torch
from attention_cases import Case, exact, near

from latentloom.kernels.flash_attention import reference
from latentloom.kernels.hyper_attention import buckets, hyper_attention

F32 = torch.float32


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return ((found - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize(("queries", "keys", "block"), [(64, 64, 16), (65, 77, 16), (17, 130, 64), (130, 17, 8)])
def test_with_all_keys_drawn_it_is_dense(queries, keys, block):
    """Both parts together see every key once: none of the block's own is drawn twice, and no filling is seen."""
    q, k, v = Case(2, 3, queries, keys, 16).draw(grad=False)
    found = hyper_attention(q, k, v, block=block, samples=keys, generator=drawn())
    near(found.out, reference.flash_attention(*exact(q, k, v)).out, F32)


def test_one_block_is_dense_to_the_bit():
    q, k, v = Case(1, 2, 40, 40, 16).draw(grad=False)
    found = hyper_attention(q, k, v, block=40, samples=4, scale=0.3)
    assert torch.equal(found.out, torch.nn.functional.scaled_dot_product_attention(q, k, v, scale=0.3))
    assert found.choice.name == "sdpa"


def test_heavy_keys_are_found():
    """Each query has a key that holds nearly all of its weight, somewhere else in the sequence; the hash sorts them
    next to each other, samples alone would miss most."""
    k = 6 * torch.nn.functional.normalize(torch.randn(1, 2, 256, 32), dim=-1)
    q, v = 2 * k[:, :, torch.randperm(256)], torch.randn(1, 2, 256, 32)
    dense = reference.flash_attention(q, k, v).out
    assert error(hyper_attention(q, k, v, block=32, samples=16, generator=drawn()).out, dense) < 0.3
    assert error(hyper_attention(q, k, v, block=1, samples=47, generator=drawn()).out, dense) > 0.6


def test_more_samples_come_nearer():
    q, k, v = Case(1, 4, 256, 256, 16).draw(grad=False)
    dense = reference.flash_attention(q, k, v).out
    errors = [error(hyper_attention(q, k, v, block=16, samples=n, generator=drawn()).out, dense) for n in (8, 64, 256)]
    assert errors[0] > errors[1] > errors[2]


def test_a_generator_repeats_it():
    q, k, v = Case(1, 1, 64, 64, 16).draw(grad=False)
    first, second, other = (hyper_attention(q, k, v, block=8, samples=4, generator=drawn(n)).out for n in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_neighbouring_buckets_differ_in_one_sign():
    x = torch.randn(1, 1, 4000, 3)
    directions = torch.randn(3, 4)
    found, signs = buckets(x, directions)[0, 0], (x @ directions > 0)[0, 0]
    of = {place: signs[found == place].unique(dim=0) for place in range(16) if (found == place).any()}
    assert all(len(each) == 1 for each in of.values())
    assert sum(place + 1 in of for place in of) >= 5
    assert all((of[place] != of[place + 1]).sum() == 1 for place in of if place + 1 in of)


def test_half_precision():
    q, k, v = Case(1, 2, 70, 70, 16, torch.bfloat16).draw(grad=False)
    found = hyper_attention(q, k, v, block=16, samples=70, generator=drawn())
    assert found.out.dtype == torch.bfloat16
    assert error(found.out.float(), reference.flash_attention(*exact(q, k, v)).out.float()) < 0.02
