from random import Random

import pytest

from latentloom.nodes.shapes.caption import Request, Wanted, caption, forget, parse, random_caption, request_of
from latentloom.nodes.shapes.scene import random_scenes


def test_a_full_caption():
    wanted = (Wanted("circle", "red", "large"), Wanted("square", "blue", "small"))
    request = Request(wanted, background="white", relation="left of")
    assert caption(request) == "a large red circle left of a small blue square on a white background"
    assert caption(request, articles=False, comma=True) == (
        "large red circle left of small blue square, white background"
    )


def test_an_orange_thing_takes_an():
    assert caption(Request((Wanted("ring", "orange"),), place="top")) == "an orange ring at the top"


def test_captions_parse_back_to_what_they_ask():
    random = Random(0)
    for scene in random_scenes(1000, "captions"):
        text, request = random_caption(scene, random)
        assert parse(text) == request
        assert parse(caption(request_of(scene))) == request_of(scene)


def test_forgetting_only_forgets():
    random = Random(1)
    for scene in random_scenes(200, "forget"):
        full = request_of(scene)
        less = forget(full, random)
        assert [thing.shape for thing in less.things] == [thing.shape for thing in full.things]
        assert less.background in (None, full.background)
        assert less.relation in (None, full.relation)


def test_the_empty_caption_asks_for_nothing():
    assert caption(Request()) == ""
    assert parse("") == Request()


def test_unknown_words_are_passed_over():
    assert parse("A photo of a RED circle, masterpiece") == Request((Wanted("circle", "red"),))


def test_three_things_are_refused():
    with pytest.raises(ValueError, match="at most two things"):
        parse("a circle and a square and a ring")


def test_two_things_have_no_place():
    with pytest.raises(ValueError, match="names two"):
        parse("a circle and a square at the top")
