"""What normalized attention guidance promises, of its plain form."""

from __future__ import annotations

import torch

from latentloom.kernels.nag_attention.reference import guided


def two() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(2, 3, 20, 8, dtype=torch.float64), torch.randn(2, 3, 20, 8, dtype=torch.float64)


def test_neutral_settings_change_no_bit():
    positive, negative = two()
    assert torch.equal(guided(positive, negative, 1.0, 2.5, 0.25), positive)
    assert torch.equal(guided(positive, negative, 5.0, 2.5, 0.0), positive)
    assert torch.equal(guided(positive, positive, 5.0, 2.5, 0.25), positive)


def test_without_a_limit_and_unmixed_it_extrapolates():
    positive, negative = two()
    torch.testing.assert_close(guided(positive, negative, 5.0, 1e9, 1.0), 5 * positive - 4 * negative)


def test_the_norm_of_a_token_is_bounded():
    """By (alpha max(tau, 1) + 1 - alpha), which is 1.375 with the paper's settings, and comes near where limited."""
    positive, negative = two()
    ratio = guided(positive, negative, 5.0, 2.5, 0.25).abs().sum((1, 3)) / positive.abs().sum((1, 3))
    assert ratio.max() <= 1.375 + 1e-12
    assert ratio.max() > 1.2


def test_the_limit_is_the_ratio_of_norms_over_all_heads():
    positive, negative = two()
    found = guided(positive, negative, 5.0, 2.0, 1.0).abs().sum((1, 3)) / positive.abs().sum((1, 3))
    torch.testing.assert_close(found, torch.full_like(found, 2.0))


def test_nothing_attended_to_gives_nothing():
    assert guided(torch.zeros(1, 1, 2, 4), torch.ones(1, 1, 2, 4), 5.0, 2.5, 0.25).count_nonzero() == 0
