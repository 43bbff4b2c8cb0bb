"""Scenes in words, and words back into what they ask for.

A caption need not say everything: what it leaves out is None in the `Request`, is free in a picture, and is not graded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from random import Random

from .scene import BACKGROUNDS, COLOURS, RELATIONS, SHAPES, SIZES, Scene

PLACE_WORDS = {
    "left": "on the left",
    "right": "on the right",
    "top": "at the top",
    "bottom": "at the bottom",
    "center": "in the center",
}


@dataclass(frozen=True)
class Wanted:
    """One thing as a caption asks for it; what is None may be anything."""

    shape: str
    colour: str | None = None
    size: str | None = None


@dataclass(frozen=True)
class Request:
    """All that a caption asks for. No things at all is the empty caption."""

    things: tuple[Wanted, ...] = ()
    background: str | None = None
    place: str | None = None
    relation: str | None = None


def request_of(scene: Scene) -> Request:
    """Everything there is to say about a scene."""
    things = tuple(Wanted(thing.shape, thing.colour, thing.size) for thing in scene.things)
    return Request(things, scene.background, scene.place, scene.relation)


def forget(request: Request, random: Random) -> Request:
    """Leave out each size in 30, each colour in 6, the background in 25, the place or relation in 20 of 100 cases."""

    def keep(word: str | None, chance: float) -> str | None:
        return None if random.random() < chance else word

    things = tuple(
        replace(thing, size=keep(thing.size, 0.3), colour=keep(thing.colour, 0.06)) for thing in request.things
    )
    return Request(things, keep(request.background, 0.25), keep(request.place, 0.2), keep(request.relation, 0.2))


def caption(request: Request, articles: bool = True, comma: bool = False) -> str:
    """Put a request into words, such as "a large red circle left of a small blue square on a white background".

    Without `articles` and with a `comma` it reads "large red circle left of small blue square, white background".
    """
    article = ["a"] if articles else []
    phrases = [
        " ".join([*article, *(word for word in (thing.size, thing.colour, thing.shape) if word)]).replace(
            "a orange", "an orange"
        )
        for thing in request.things
    ]
    text = f" {request.relation or 'and'} ".join(phrases)
    if request.place:
        text = f"{text} {PLACE_WORDS[request.place]}"
    if request.background:
        ground = " ".join([*article, request.background, "background"])
        text = f"{text}, {ground}" if comma else f"{text} on {ground}"
    return text.strip()


def random_caption(scene: Scene, random: Random) -> tuple[str, Request]:
    """One way to caption a scene, with words left out, and what that caption still asks for."""
    request = forget(request_of(scene), random)
    return caption(request, articles=random.random() < 0.85, comma=random.random() < 0.15), request


def parse(text: str) -> Request:
    """What a caption asks for: the reverse of `caption`, deaf to words outside the captioned world.

    Raises ValueError for more than two things, or two things with a place, which the world has no pictures of.
    """
    words = re.findall(r"[a-z]+", text.lower())
    background = next(
        (word for word, after in pairwise(words) if after == "background" and word in BACKGROUNDS),
        None,
    )
    nouns = [index for index, word in enumerate(words) if word in SHAPES]
    if len(nouns) > 2:
        raise ValueError(f"The captioned world has at most two things in a picture, but {text!r} names {len(nouns)}.")
    things = []
    for index, start in zip(nouns, [0, *(noun + 1 for noun in nouns)], strict=False):
        said = words[start:index]
        things.append(
            Wanted(
                words[index],
                next((word for word in reversed(said) if word in COLOURS), None),
                next((word for word in reversed(said) if word in SIZES), None),
            )
        )
    joined = f" {' '.join(words)} "
    place = next((name for name, phrase in PLACE_WORDS.items() if f" {phrase} " in joined), None)
    relation = None
    if len(nouns) == 2:
        between = f" {' '.join(words[nouns[0] + 1 : nouns[1]])} "
        relation = next((name for name in RELATIONS if f" {name} " in between), None)
        if place:
            raise ValueError(f"A place is for a single thing, but {text!r} names two.")
    return Request(tuple(things), background, place, relation)
