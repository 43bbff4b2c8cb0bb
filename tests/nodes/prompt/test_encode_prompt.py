"""Prompts meet the stock pipelines' numbers bit for bit; weights, chunks and skipped layers do what they say."""

from typing import Any

import pytest
import torch

from latentloom.graph.node import NodeError
from latentloom.graph.progress import Progress
from latentloom.nodes.models.live import use
from latentloom.nodes.prompt.encode_prompt import encode_prompt
from latentloom.nodes.types import Conditioning, Model

PROMPT = "a small red circle, left of a blue square"


def stock(pipeline: Any, prompt: Any, clip_skip: int | None = None) -> Conditioning:
    with torch.no_grad():
        out = pipeline.encode_prompt(prompt, "cpu", 1, False, clip_skip=clip_skip)
    return Conditioning(out[0], out[2] if len(out) > 2 else None)


def stock_sdxl(pipeline: Any, prompt: Any, clip_skip: int | None = None) -> Conditioning:
    with torch.no_grad():
        tokens, _, pooled, _ = pipeline.encode_prompt(
            prompt, device="cpu", do_classifier_free_guidance=False, clip_skip=clip_skip
        )
    return Conditioning(tokens, pooled)


def reference(model: Model, pipeline: Any, prompt: Any, clip_skip: int | None = None) -> Conditioning:
    return (stock_sdxl if model.family == "sdxl" else stock)(pipeline, prompt, clip_skip)


def same(ours: Conditioning, theirs: Conditioning) -> bool:
    pooled = ours.pooled is theirs.pooled is None or torch.equal(ours.pooled, theirs.pooled)  # pyright: ignore
    return pooled and torch.equal(ours.tokens, theirs.tokens)


@pytest.mark.parametrize("prompt", ["", PROMPT, "Émigré café 東京 😀", "x" * 75, "  spaces   and\nlines "])
def test_plain_prompts_are_the_stock_pipelines(pair, prompt):
    model, pipeline = pair
    assert same(encode_prompt(model, prompt), reference(model, pipeline, prompt))


@pytest.mark.parametrize(
    "prompt", ["(a small red circle, left of a blue square:1.0)", "[(a small red circle, left of a blue square)]"]
)
def test_neutral_weights_change_nothing(pair, prompt):
    model, _ = pair
    assert same(encode_prompt(model, prompt), encode_prompt(model, PROMPT))


@pytest.mark.parametrize("skip", [1, 2])
def test_skipped_layers(pair, skip):
    model, pipeline = pair
    ours = encode_prompt(model, PROMPT, clip_skip=skip)
    if model.family == "sdxl":
        assert same(ours, reference(model, pipeline, PROMPT, skip))
    else:  # the stock pipeline cannot: transformers 5 took the attribute away that it asks for
        encoder = pipeline.text_encoder
        ids = pipeline.tokenizer(PROMPT, padding="max_length", max_length=77, return_tensors="pt").input_ids
        with torch.no_grad():
            hidden = encoder(ids, output_hidden_states=True).hidden_states
            assert torch.equal(encoder.final_layer_norm(hidden[-1]), encode_prompt(model, PROMPT).tokens)
            assert torch.equal(ours.tokens, encoder.final_layer_norm(hidden[-(skip + 1)]))
    assert not torch.equal(ours.tokens, encode_prompt(model, PROMPT).tokens)


def test_more_layers_than_there_are(pair):
    model, _ = pair
    most = 3 if model.family == "sd" else 2
    with pytest.raises(NodeError, match=f"clip_skip {most + 1} is out of range.* 0 to {most} layers"):
        encode_prompt(model, PROMPT, clip_skip=most + 1)


def test_several_prompts_at_once(pair):
    model, pipeline = pair
    prompts = ["a red circle", "a blue square below a ring"]
    with torch.no_grad(), use(model) as parts:
        ours = parts.family.encode(parts, prompts)
    assert same(ours, reference(model, pipeline, prompts))


def test_a_weight_moves_its_word_away_from_the_empty_prompt(pair):
    model, _ = pair
    empty, plain = encode_prompt(model, "").tokens[0], encode_prompt(model, "a red circle").tokens[0]
    strong = encode_prompt(model, "a (red:1.5) circle").tokens[0]
    # The tiny tokenizer has one token a letter: start, a, r, e, d, c, ...
    assert torch.allclose(strong[2:5], empty[2:5] + 1.5 * (plain[2:5] - empty[2:5]), atol=1e-5)
    others = torch.ones(77, dtype=torch.bool)
    others[2:5] = False
    assert torch.allclose(strong[others], plain[others], atol=1e-5)
    gone = encode_prompt(model, "a (red:0) circle").tokens[0]
    assert torch.allclose(gone[2:5], empty[2:5], atol=1e-5)


def test_weights_leave_the_pooled_prompt(pair):
    model, _ = pair
    weighted, plain = encode_prompt(model, "a (red:1.5) circle").pooled, encode_prompt(model, "a red circle").pooled
    assert weighted is plain is None or torch.allclose(weighted, plain, atol=1e-6)  # pyright: ignore


def test_a_long_prompt_is_read_in_chunks_and_told(pair):
    model, pipeline = pair
    notes = []
    letters = "abcde" * 30  # 150 tokens: two whole chunks
    ours = encode_prompt(model, letters, progress=Progress(on_note=notes.append))
    assert "150 tokens" in notes[0]["prompt"] and "2 chunks" in notes[0]["prompt"]
    # A word's last letter has a token of its own, so only the second chunk reads as a whole word of 75 letters.
    second = reference(model, pipeline, "abcde" * 15).tokens
    assert ours.tokens.shape[1] == 154 and torch.allclose(ours.tokens[:, 77:], second, atol=1e-5)


def test_break_begins_a_chunk(pair):
    model, pipeline = pair
    ours = encode_prompt(model, "a red circle BREAK a blue square")
    first, second = (reference(model, pipeline, text) for text in ("a red circle", "a blue square"))
    assert torch.allclose(ours.tokens, torch.cat([first.tokens, second.tokens], dim=1), atol=1e-5)
    assert ours.pooled is None or torch.allclose(ours.pooled, first.pooled, atol=1e-5)  # pyright: ignore


def test_a_senselessly_long_prompt_is_refused(pair):
    model, _ = pair
    with pytest.raises(NodeError, match="too long; at most 64"):
        encode_prompt(model, "word " * 5000)


def test_the_result_lies_on_the_cpu_and_may_be_used_for_gradients(pair):
    model, _ = pair
    tokens = encode_prompt(model, PROMPT).tokens
    assert tokens.device.type == "cpu" and tokens.dtype == torch.float32 and not tokens.requires_grad
    scale = torch.ones(1, requires_grad=True)
    (tokens * scale).sum().backward()
    assert scale.grad is not None
