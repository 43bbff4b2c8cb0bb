"""Watching what computes attention: it is said once, and changes nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from ladder import BRANCHES, steps
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from latentloom.nodes.models.call import Call, under_way
from latentloom.nodes.models.observed import observed


def predict(sample: torch.Tensor, timestep: Any, branches: Any) -> tuple[torch.Tensor, ...]:
    with sdpa_kernel(SDPBackend.MATH):
        first = scaled_dot_product_attention(sample, sample, value=sample)
    return (scaled_dot_product_attention(first, sample, sample, attn_mask=torch.zeros(4, 4)),)


def test_the_first_evaluation_of_a_run_says_what_runs() -> None:
    call, sample = Call(steps(), 0, BRANCHES, Counter()), torch.randn(1, 2, 4, 8)
    watched, expected = observed(predict), predict(sample, 0.0, BRANCHES)[0]
    with under_way(call):
        assert torch.equal(watched(sample, 0.0, BRANCHES)[0], expected)
        told = call.notes.pop("attention_ran")
        assert torch.equal(watched(sample, 0.0, BRANCHES)[0], expected)
    assert told[0] == "sdpa: PyTorch's attention (math) does dense attention"
    assert len(told) == len(set(told)) <= 2
    assert "attention_ran" not in call.notes


def test_who_computes_attention_itself_has_the_word() -> None:
    call, sample = Call(steps(), 0, BRANCHES, Counter()), torch.randn(1, 2, 4, 8)
    call.notes["attention_ran"] = ["triton: our kernel"]
    with under_way(call):
        observed(predict)(sample, 0.0, BRANCHES)
    assert call.notes["attention_ran"] == ["triton: our kernel"]


def test_outside_of_a_run_nothing_is_said() -> None:
    sample = torch.randn(1, 2, 4, 8)
    assert torch.equal(observed(predict)(sample, 0.0, BRANCHES)[0], predict(sample, 0.0, BRANCHES)[0])
