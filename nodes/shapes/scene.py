"""The captioned world: one or two coloured shapes on a plain background.

Lengths are fractions of the picture's side (x to the right, y downwards, both from the top left corner), so a scene
has no resolution of its own. The numbers were chosen on 32 x 32 pixels: there a small thing has a radius of 4.3 px,
a large one 6.7 px, and two large neighbours keep a gap of 1.6 px, which is what makes a picture gradable.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

SHAPES = ("circle", "square", "triangle", "diamond", "cross", "ring", "bar")
SIZES = {"small": 4.3 / 32, "large": 6.7 / 32}
COLOURS = {
    "red": (215, 25, 30),
    "orange": (255, 130, 0),
    "yellow": (255, 230, 20),
    "green": (20, 140, 50),
    "lime": (140, 235, 40),
    "cyan": (40, 215, 230),
    "blue": (40, 90, 235),
    "purple": (140, 30, 190),
    "pink": (255, 120, 200),
    "brown": (120, 65, 20),
}
BACKGROUNDS = {
    "white": (255, 255, 255),
    "black": (0, 0, 0),
    "gray": (140, 140, 140),
    "navy": (10, 20, 100),
    "beige": (235, 210, 165),
}
"""Object and background colours, 8-bit RGB. No two of the fifteen are nearer than 98 (Euclidean)."""

PLACES = {"left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1), "center": (0, 0)}
RELATIONS = {
    "left of": ("left", "right"),
    "right of": ("right", "left"),
    "above": ("top", "bottom"),
    "below": ("bottom", "top"),
}
"""A relation of the first thing to the second, as the places that the two then take."""

PLACE_OFFSET = 7 / 32
PAIR_OFFSET = 7.5 / 32
JITTER = 1 / 32
PAIR_DRIFT = 3 / 32


@dataclass(frozen=True)
class Thing:
    """One coloured shape; `size` names a radius of SIZES and (x, y) is its centre."""

    shape: str
    colour: str
    size: str
    x: float
    y: float


@dataclass(frozen=True)
class Scene:
    """What a picture shows. One thing has a `place`; of two things the first stands in `relation` to the second."""

    things: tuple[Thing, ...]
    background: str
    place: str | None = None
    relation: str | None = None


def random_scene(random: Random, things: int | None = None) -> Scene:
    """Draw a scene of one or two things (half and half unless `things` says which), never of one colour twice."""
    count = things or random.choice((1, 2))
    background = random.choice(tuple(BACKGROUNDS))
    colours = random.sample(tuple(COLOURS), count)
    looks = [(random.choice(SHAPES), colour, random.choice(tuple(SIZES))) for colour in colours]
    if count == 1:
        place = random.choice(tuple(PLACES))
        x, y = (0.5 + PLACE_OFFSET * step + random.uniform(-JITTER, JITTER) for step in PLACES[place])
        return Scene((Thing(*looks[0], x, y),), background, place=place)
    relation = random.choice(tuple(RELATIONS))
    drawn = []
    for look, place in zip(looks, RELATIONS[relation], strict=True):
        # A thing drifts only across the axis of the relation: drifting along it could close the gap.
        x, y = (
            0.5 + PAIR_OFFSET * step if step else 0.5 + random.uniform(-PAIR_DRIFT, PAIR_DRIFT)
            for step in PLACES[place]
        )
        drawn.append(Thing(*look, x, y))
    return Scene(tuple(drawn), background, relation=relation)


def random_scenes(count: int, seed: str) -> list[Scene]:
    """`count` scenes that depend on `seed` alone, the same on every machine and every run."""
    random = Random(seed)
    return [random_scene(random) for _ in range(count)]


def held_out_scenes(count: int, seed: str = "held out") -> list[Scene]:
    """Scenes to grade on, one thing and two things by turns; the training streams use seeds of another form."""
    random = Random(f"grade/{seed}")
    return [random_scene(random, things=1 + index % 2) for index in range(count)]
