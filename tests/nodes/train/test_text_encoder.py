from typing import Any

import pytest
import torch

from latentloom.nodes.shapes.caption import parse
from latentloom.nodes.train.text_encoder import (
    ANSWERS,
    HEIGHT,
    SLOTS,
    UNASKED,
    Reader,
    captions_at,
    fit_text_encoder,
    layout,
    lesson,
    new_text_encoder,
)
from latentloom.nodes.train.tokenizer import new_tokenizer


def test_slots_of_a_caption():
    red, blue = parse("a red circle and a blue bar").things
    assert layout(parse("a red circle below a blue bar")) == {"bottom": red, "top": blue}
    assert layout(parse("a red circle and a blue bar")) == {"first": red, "second": blue}
    assert layout(parse("a red circle on the right")) == {"right": red}
    assert layout(parse("")) == {}


def test_padding_answers_for_the_slot_of_its_position():
    text = "a red circle below a blue bar on a white background"
    given = lesson(new_tokenizer(), [(text, parse(text))])
    end = given.ids[0].tolist().index(new_tokenizer().eos_token_id)
    for position in range(end, 77):
        slot = SLOTS[position % len(SLOTS)]
        assert SLOTS[given.answers["slot"][0, position] - 1] == slot
        shape, colour = given.answers["shape"][0, position].item(), given.answers["colour"][0, position].item()
        if slot == "bottom":
            assert (ANSWERS["shape"][shape - 1], ANSWERS["colour"][colour - 1]) == ("circle", "red")
        elif slot == "top":
            assert (ANSWERS["shape"][shape - 1], ANSWERS["colour"][colour - 1]) == ("bar", "blue")
        else:
            assert shape == colour == 0
        assert ANSWERS["background"][given.answers["background"][0, position] - 1] == "white"
    noun = given.ids[0].tolist().index(new_tokenizer().convert_tokens_to_ids("bar</w>"))
    assert ANSWERS["colour"][given.answers["colour"][0, noun] - 1] == "blue"
    assert (given.answers["background"][0, :end] == UNASKED).all()
    assert (given.answers["slot"][0, :end] == 0).all()


def test_padding_reads_the_caption_before_it():
    tokenizer = new_tokenizer()
    torch.manual_seed(0)
    encoder = new_text_encoder(tokenizer, width=48, layers=1, heads=2).eval()
    texts = ["a red circle above a blue bar", "a red circle below a blue bar"]
    ids = tokenizer(texts, padding="max_length", return_tensors="pt").input_ids
    with torch.no_grad():
        hidden = encoder(ids).last_hidden_state
    assert torch.equal(hidden[0, :4], hidden[1, :4])
    assert ((hidden[0] - hidden[1]).abs().amax(1)[4:] > 0).all()


def test_a_short_run_learns_and_resumes(tmp_path):
    tiny: dict[str, Any] = {"steps": 6, "batch": 4, "width": 48, "layers": 1, "heads": 2}
    _, whole = fit_text_encoder(tmp_path / "whole", **tiny)
    fit_text_encoder(tmp_path / "killed", **tiny, stop_after=3)
    reader, resumed = fit_text_encoder(tmp_path / "killed", **tiny)
    assert all(torch.equal(resumed.weights[name], value) for name, value in whole.weights.items())
    assert set(reader.accuracy(lesson(new_tokenizer(), captions_at(8, 1, 0)))) == set(ANSWERS)


def test_a_text_encoder_too_narrow_to_spell_is_refused():
    with pytest.raises(ValueError, match="at least 36"):
        Reader(new_text_encoder(new_tokenizer(), width=32, layers=1, heads=2))


def test_the_loss_of_a_perfect_reader_is_small():
    tokenizer = new_tokenizer()
    given = lesson(tokenizer, captions_at(4, 0, 0))

    class Perfect(Reader):
        def forward(self, ids):
            return {
                kind: HEIGHT * torch.nn.functional.one_hot(answers.clamp(min=0), 1 + len(ANSWERS[kind])).float()
                for kind, answers in given.answers.items()
            }

    perfect = Perfect(new_text_encoder(tokenizer, width=48, layers=1, heads=2))
    assert perfect.loss(given) < 1e-3
    assert set(perfect.accuracy(given).values()) == {1.0}
