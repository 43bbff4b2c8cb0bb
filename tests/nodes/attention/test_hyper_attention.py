"""HyperAttention in a network: exact where it says so, the same in every run, and marked as an experiment."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hooking import sampled
from inside import facts
from studio import Studio
from torch import Tensor

from latentloom.graph.node import NodeError
from latentloom.nodes.attention.attention import attention
from latentloom.nodes.attention.hyper_attention import hyper_attention
from latentloom.nodes.models import live
from latentloom.nodes.types import Model

MANY = 4096
"""More tokens than the tiny pictures and their prompts have."""


def drawn(studio: Studio, model: Model, total: int = 2) -> tuple[Tensor, dict[str, Any]]:
    latent, notes = sampled(studio, model, 1, total)
    return latent.samples, notes


def test_short_sequences_and_one_block_are_dense_to_the_bit(kind: Studio) -> None:
    plain, _ = drawn(kind, kind.model)
    assert torch.equal(drawn(kind, hyper_attention(kind.model))[0], plain)
    assert torch.equal(drawn(kind, hyper_attention(kind.model, block=MANY, min_length=0))[0], plain)


def test_with_all_tokens_drawn_it_is_dense(kind: Studio) -> None:
    plain, _ = drawn(kind, kind.model)
    found, notes = drawn(kind, hyper_attention(kind.model, block=4, samples=MANY, min_length=0))
    assert torch.allclose(found, plain, rtol=0, atol=2e-4 * plain.abs().max().item())
    assert any(told.startswith("an experiment: each query sees 4 keys") for told in notes["attention_ran"])


def test_every_run_draws_the_same_and_another_picture_between_changes_nothing(sd3: Studio) -> None:
    model = hyper_attention(sd3.model, block=8, samples=8, min_length=0)
    first, notes = drawn(sd3, model)
    drawn(sd3, model, 3)
    again, _ = drawn(sd3, model)
    assert torch.equal(first, again)
    assert not torch.equal(first, drawn(sd3, sd3.model)[0])
    assert notes["attention_by_reference" if not torch.cuda.is_available() else "attention_by_triton"] > 0


def test_the_network_is_as_it_was(sd: Studio) -> None:
    with live.use(sd.model) as parts:
        before = facts(parts.denoiser)
    drawn(sd, hyper_attention(sd.model, block=4, samples=4, min_length=0))
    with live.use(sd.model) as parts:
        assert facts(parts.denoiser) == before


def test_it_is_given_once(sd: Studio) -> None:
    with pytest.raises(NodeError, match="hyper_attention and attention both compute attention"):
        hyper_attention(attention(sd.model))
