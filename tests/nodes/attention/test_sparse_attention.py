"""Attention to chosen blocks: which, from when on, for whom, and that everything kept is dense to the bit."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from hooking import sampled
from ladder import BRANCHES, steps
from studio import Studio
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from latentloom.nodes.attention.attending import Asked
from latentloom.nodes.attention.sparse_attention import (
    SparseAttention,
    SparseLayer,
    Squares,
    choose,
    sparse_attention,
    squares,
)
from latentloom.nodes.cache.deepcache import deepcache
from latentloom.nodes.models.call import Call, under_way
from latentloom.nodes.types import Conditioning, Latent, Model

TOTAL = 10

METHOD = SparseAttention(keep=0.4, dense=0.2, size=8)


def tensors(rows: int = 2, length: int = 40, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    q, k, v = torch.randn(3, rows, 3, length, 8, generator=generator)
    return 3 * q, k, v


# ---------------------------------------------------------------- which blocks


@pytest.mark.parametrize(
    ("length", "keep", "prompt", "expected"),
    [
        (64, 0.5, None, Squares(8, range(0), 4)),
        (65, 0.5, None, Squares(9, range(0), 5)),
        (80, 0.3, None, Squares(10, range(0), 3)),
        (64, 0.01, None, Squares(8, range(0), 1)),
        (60, 1.0, slice(50, 60), Squares(8, range(6, 8), 6)),
        (60, 0.5, slice(0, 10), Squares(8, range(2), 3)),
        (5, 0.1, slice(0, 3), Squares(1, range(1), 0)),
    ],
)
def test_how_many_blocks_are_kept(length: int, keep: float, prompt: slice | None, expected: Squares) -> None:
    assert squares(length, 8, keep, prompt) == expected


@pytest.mark.parametrize("prompt", [None, slice(0, 10), slice(30, 40)])
def test_each_head_keeps_the_blocks_with_the_largest_means(prompt: slice | None) -> None:
    """Block by block, with the means of the last one over what it holds."""
    q, k, _ = tensors(length=39)
    how = squares(39, 8, 0.4, prompt)
    found = choose(q, k, 8, how)
    said = set(how.prompt)
    for row in range(2):
        for head in range(3):
            means = [[x[row, head, at : at + 8].mean(0) for at in range(0, 39, 8)] for x in (q, k)]
            for mine, query in enumerate(means[0]):
                ranked = sorted(set(range(5)) - said, key=lambda other: -float(query @ means[1][other]))
                kept = set(range(5)) if mine in said else {*ranked[: how.kept], *said}
                assert set(found[row, head, mine].nonzero().flatten().tolist()) == kept
    assert int(found[0, 0].sum()) == how.pairs


# ---------------------------------------------------------------- one layer, step by step


def run_layer(
    layer: SparseLayer, inputs: list[tuple[Tensor, Tensor, Tensor]], asked: Any = None
) -> tuple[list[Tensor], Counter]:
    """What the layer gives at each of the first steps of a run, and what is counted."""
    run, counts, found = steps([991 - 90 * i for i in range(TOTAL)]), Counter[str](), []
    for at, given in enumerate(inputs):
        branches = (asked or (lambda at: BRANCHES))(at)
        if branches:
            with under_way(Call(run, at, branches, counts)):
                found.append(layer(Asked(*given)))
    return found, counts


def masked(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    length = q.shape[2]
    seen = mask.repeat_interleave(8, -2).repeat_interleave(8, -1)[..., :length, :length]
    return scaled_dot_product_attention(q, k, v, attn_mask=seen)


def test_the_first_steps_are_dense_and_choose_for_all_others() -> None:
    inputs = [tensors(seed=at) for at in range(5)]
    found, counts = run_layer(SparseLayer(METHOD), inputs)
    for at in range(3):
        assert torch.equal(found[at], scaled_dot_product_attention(*inputs[at]))
    mask = choose(*inputs[2][:2], 8, squares(40, 8, 0.4))
    for at in (3, 4):
        assert torch.allclose(found[at], masked(*inputs[at], mask), atol=1e-6)
        assert not torch.allclose(found[at], scaled_dot_product_attention(*inputs[at]), atol=1e-3)
    assert counts["attention blocks computed"] == 2 * 2 * 3 * 5 * 2
    assert counts["attention blocks skipped"] == 2 * 2 * 3 * 5 * 3


def test_each_branch_keeps_its_own_blocks() -> None:
    """Also where a guidance asks for one of them alone."""
    both, positive = tensors(seed=2), tensors(1, seed=3)
    inputs = [tensors(), tensors(), both, positive, tensors(seed=4)]
    found, _ = run_layer(SparseLayer(METHOD), inputs, lambda at: BRANCHES[1:] if at == 3 else BRANCHES)
    mask = choose(*both[:2], 8, squares(40, 8, 0.4))
    assert torch.allclose(found[3], masked(*positive, mask[1:]), atol=1e-6)
    assert torch.allclose(found[4], masked(*inputs[4], mask), atol=1e-6)


def test_a_branch_that_comes_late_and_a_layer_that_was_left_out_choose_then() -> None:
    """Guidance intervals ask for a branch later; caches leave layers out at some steps."""
    late = (Conditioning(BRANCHES[0].tokens),)
    inputs = [tensors(), tensors(), tensors(), tensors(1, seed=3), tensors(1, seed=4)]
    found, _ = run_layer(SparseLayer(METHOD), inputs, lambda at: BRANCHES if at < 3 else late)
    mask = choose(*inputs[3][:2], 8, squares(40, 8, 0.4))
    assert torch.allclose(found[3], masked(*inputs[3], mask), atol=1e-6)
    assert torch.allclose(found[4], masked(*inputs[4], mask), atol=1e-6)
    left_out, _ = run_layer(SparseLayer(METHOD), inputs[2:4] * 2, lambda at: () if at < 3 else late)
    assert torch.allclose(left_out[0], masked(*inputs[3], mask), atol=1e-6)


def test_a_new_run_begins_anew() -> None:
    layer, inputs = SparseLayer(METHOD), [tensors(seed=at) for at in range(4)]
    first, _ = run_layer(layer, inputs)
    run_layer(layer, [tensors(seed=9)] * 4)
    again, _ = run_layer(layer, inputs)
    assert all(torch.equal(*pair) for pair in zip(first, again, strict=True))


def test_other_lengths_and_masks_and_calls_outside_of_a_run() -> None:
    layer = SparseLayer(METHOD)
    inputs = [tensors(length=40)] * 3 + [tensors(length=56, seed=1)]
    found, _ = run_layer(layer, inputs)
    mask = choose(*inputs[3][:2], 8, squares(56, 8, 0.4))
    assert torch.allclose(found[3], masked(*inputs[3], mask), atol=1e-6)
    q, k, v = tensors()
    assert torch.equal(layer(Asked(q, k, v)), scaled_dot_product_attention(q, k, v))
    bias = torch.randn(40, 40)
    with under_way(Call(steps(), 9, BRANCHES, Counter())):
        found = layer(Asked(q, k, v, bias))
    assert torch.equal(found, scaled_dot_product_attention(q, k, v, attn_mask=bias))


def test_our_kernel_skips_the_blocks_that_a_mask_hides(request: pytest.FixtureRequest) -> None:
    inputs, method = [tensors(length=130, seed=at) for at in range(2)], SparseAttention(keep=0.4, dense=0.0, size=64)
    hidden, _ = run_layer(SparseLayer(method), inputs)
    request.getfixturevalue("on_a_gpu")
    skipped, counts = run_layer(SparseLayer(method), inputs)
    assert torch.allclose(skipped[1], hidden[1], atol=1e-5)
    assert counts["attention by triton"] == 1
    assert counts["attention blocks skipped"] == 2 * 3 * 3


# ---------------------------------------------------------------- in a network


def drawn(studio: Studio, model: Model, total: int = 4, **options: Any) -> tuple[Tensor, dict[str, Any]]:
    latent, notes = sampled(studio, model, 1, total, **options)
    return latent.samples, notes


@pytest.mark.parametrize("neutral", [{"keep": 1.0}, {"dense": 1.0}])
def test_neutral_settings_are_the_model_itself(neutral: dict[str, Any], kind: Studio) -> None:
    plain, _ = drawn(kind, kind.model, 2)
    found, notes = drawn(kind, sparse_attention(kind.model, **neutral), 2)
    assert torch.equal(found, plain)
    assert "attention_blocks_skipped" not in notes


def test_pictures_attend_to_fewer_blocks_and_prompts_to_all(kind: Studio) -> None:
    plain, _ = drawn(kind, kind.model)
    found, notes = drawn(kind, sparse_attention(kind.model, 0.3, 0.3, 8))
    assert not torch.equal(found, plain)
    assert torch.isfinite(found).all()
    assert notes["attention_blocks_skipped"] > 0
    assert any(
        told.startswith("sdpa: PyTorch's attention under a mask, which skips") for told in notes["attention_ran"]
    )


def test_where_the_prompt_stands(kind: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the picture in Stable Diffusion 3, before it in both kinds of Flux's blocks, elsewhere apart."""
    seen: set[tuple[int, int | None, int | None]] = set()
    call = SparseLayer.__call__

    def watched(self: SparseLayer, asked: Asked) -> Tensor:
        prompt = asked.prompt or slice(None)
        seen.add((asked.q.shape[2], prompt.start, prompt.stop))
        return call(self, asked)

    monkeypatch.setattr(SparseLayer, "__call__", watched)
    drawn(kind, sparse_attention(kind.model, 0.3, 0.3, 8), 1)
    family, said = kind.model.family, 77 + 20
    if family == "sd3":
        assert {each[0] - said for each in seen if each[1] is not None} == {next(iter(seen))[1]}
    elif family == "flux":
        assert {each[1:] for each in seen} == {(0, 20)}
    else:
        assert {each[1:] for each in seen} == {(None, None)}


def test_a_second_run_is_as_the_first_and_one_after_another_picture_too(sd: Studio) -> None:
    model = sparse_attention(sd.model, 0.3, 0.3, 8)
    first, _ = drawn(sd, model)
    drawn(sd, model, latent=Latent(torch.ones(1, 4, *sd.noise().samples.shape[-2:])), strength=0.6)
    assert torch.equal(drawn(sd, model)[0], first)


def test_it_goes_with_a_cache(sd: Studio) -> None:
    found, notes = drawn(sd, deepcache(sparse_attention(sd.model, 0.3, 0.3, 8), 2), 6)
    assert torch.isfinite(found).all()
    assert notes["attention_blocks_skipped"] > 0
