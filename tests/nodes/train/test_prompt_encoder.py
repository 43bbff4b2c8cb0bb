from typing import Any

import torch

from latentloom.nodes.shapes.caption import Request, caption, parse, request_of
from latentloom.nodes.shapes.scene import random_scenes
from latentloom.nodes.train.prompt_encoder import (
    HEIGHT,
    LENGTH,
    WORDS,
    PromptReader,
    asked_words,
    fit_prompt_encoder,
    new_prompt_encoder,
    words_right,
)
from latentloom.nodes.train.text_encoder import ANSWERS, SLOTS, captions_at, lesson
from latentloom.nodes.train.tokenizer import new_tokenizer


def test_every_caption_leaves_room_for_every_slot():
    tokenizer = new_tokenizer(LENGTH)
    texts = [caption(request_of(scene), comma=comma) for scene in random_scenes(500, "room") for comma in (True, False)]
    longest = max(len(ids) for ids in tokenizer(texts).input_ids)
    assert longest - 1 + len(SLOTS) <= LENGTH


def test_words_of_a_caption():
    said = asked_words([parse("a small red circle above a blue bar on a navy background"), Request()])
    assert {word for word, height in zip(WORDS, said[0].tolist(), strict=True) if height == HEIGHT} == {
        "small",
        "red",
        "circle",
        "blue",
        "bar",
        "navy",
    }
    assert said[1].abs().max() == 0


def test_it_is_read_as_the_stock_pipeline_reads_it():
    """The layout is spelt before the last layer: what that layer does is no part of it."""
    tokenizer = new_tokenizer(LENGTH)
    torch.manual_seed(0)
    reader = PromptReader(new_prompt_encoder(tokenizer, width=48, layers=1, heads=2, pooled=32)).eval()
    ids = lesson(tokenizer, captions_at(2, 0, 0)).ids
    with torch.no_grad():
        before, pooled = reader.read(ids)
        for name, parameter in reader.encoder.named_parameters():
            if "layers.1." in name:
                parameter.mul_(2)
        after, pooled_after = reader.read(ids)
    assert all(torch.equal(before[kind], after[kind]) for kind in ANSWERS)
    assert not torch.allclose(pooled, pooled_after)


def test_a_short_run_learns_and_resumes(tmp_path):
    tiny: dict[str, Any] = {"steps": 6, "batch": 4, "width": 48, "layers": 1, "heads": 2}
    _, whole = fit_prompt_encoder(tmp_path / "whole", **tiny)
    fit_prompt_encoder(tmp_path / "killed", **tiny, stop_after=3)
    reader, resumed = fit_prompt_encoder(tmp_path / "killed", **tiny)
    assert all(torch.equal(resumed.weights[name], value) for name, value in whole.weights.items())
    captions = captions_at(8, 1, 0)
    given = lesson(new_tokenizer(LENGTH), captions)
    assert set(reader.accuracy(given)) == set(ANSWERS)
    assert 0 <= words_right(reader, given, captions) <= 1
