"""Prompts of different lengths share a batch without changing what attention sees."""

from dataclasses import dataclass

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from latentloom.graph.node import NodeError
from latentloom.nodes.models.conditioning import batch, part_of
from latentloom.nodes.types import Conditioning, Noise


def prompt(chunks: int = 1, prompts: int = 1, width: int = 8, pooled: bool = False) -> Conditioning:
    return Conditioning(torch.randn(prompts, 7 * chunks, width), torch.randn(prompts, 5) if pooled else None)


def test_branches_follow_each_other_and_one_prompt_serves_all_images():
    negative, positive = prompt(pooled=True), prompt(prompts=3, pooled=True)
    tokens, pooled = batch([negative, positive], images=3)
    assert negative.pooled is not None and positive.pooled is not None
    assert tokens.shape == (6, 7, 8) and pooled is not None and pooled.shape == (6, 5)
    assert all(
        torch.equal(tokens[i], negative.tokens[0]) and torch.equal(pooled[i], negative.pooled[0]) for i in range(3)
    )
    assert torch.equal(tokens[3:], positive.tokens) and torch.equal(pooled[3:], positive.pooled)


def test_repeated_tokens_leave_attention_as_it_is():
    branches = [prompt(chunks) for chunks in (1, 2, 3)]
    tokens, _ = batch(branches, images=1)
    assert tokens.shape == (3, 7 * 6, 8)
    queries = torch.randn(1, 11, 8)
    for row, branch in zip(tokens, branches, strict=True):
        padded = scaled_dot_product_attention(queries, row[None], row[None])
        assert torch.allclose(padded, scaled_dot_product_attention(queries, branch.tokens, branch.tokens), atol=1e-6)


def test_what_does_not_fit_together():
    with pytest.raises(NodeError, match="2 prompts for 3 images"):
        batch([prompt(prompts=2)], images=3)
    with pytest.raises(NodeError, match="different families"):
        batch([prompt(width=8), prompt(width=9)], images=1)
    with pytest.raises(NodeError, match="different families"):
        batch([prompt(pooled=True), prompt()], images=1)


def test_a_part_of_what_holds_conditions_holds_parts_of_them():
    @dataclass(frozen=True, eq=False)
    class Held:
        scale: float
        several: tuple[Conditioning, ...]

    prompts = [Conditioning(torch.randn(4, 3, 2), torch.randn(4, 2), torch.ones(4, 3)) for _ in range(2)]
    shared = Conditioning(torch.randn(1, 3, 2))
    part = part_of(Held(2.0, (*prompts, shared)), slice(1, 3), 4)
    assert part.scale == 2.0 and part.several[2] is shared
    for ours, whole in zip(part.several, prompts, strict=False):
        assert torch.equal(ours.tokens, whole.tokens[1:3])
    noise = part_of(Noise(torch.randn(4, 1, 2, 2), (5, 6, 7, 8)), slice(1, 3), 4)
    assert noise.seeds == (6, 7) and len(noise.samples) == 2
    nothing = Held(1.0, (shared,))
    assert part_of(nothing, slice(1, 3), 4) is nothing


def test_all_rows_are_the_whole():
    prompts = Conditioning(torch.randn(2, 3, 2))
    assert part_of(prompts, slice(0, 9), 2) is prompts
