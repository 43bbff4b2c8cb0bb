"""Grade pictures by rules: read what a picture shows, and compare it with what was asked. No learned model is involved.

Reading: the border gives the background; each pixel takes the nearest colour of the palettes; pixels with too few
neighbours of their own colour are the blurred fringe of something and are dropped; what is left of each colour is a
thing. Its outline is fitted with every shape and size at half-pixel steps, and the best overlap names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import permutations

import torch
from torch import Tensor
from torch.nn import functional

from .caption import Request
from .render import coverage
from .scene import BACKGROUNDS, COLOURS, PLACES, SHAPES, SIZES, Scene, Thing

FRINGE_NEIGHBOURS = 3
"""Of the eight neighbours of a pixel, fewer of its own colour than this make it fringe; a corner has 3."""
SMALLEST_CORE = 6 / 1024
"""Least share of the picture that a colour must cover, fringe dropped, to be a thing; a small ring keeps more."""
EDGE_SHARE = 0.6
"""A colour with more than this share of its pixels beside a larger thing is no thing (things keep a gap)."""
CENTER_REACH = 3.5 / 32
"""A centre no further than this from the middle, along both axes, is in the center."""


@dataclass(frozen=True)
class Grade:
    """What is right about a picture; None where nothing was asked. `count` is the number of things."""

    count: bool
    background: bool | None
    colour: bool | None
    shape: bool | None
    size: bool | None
    place: bool | None
    relation: bool | None

    @property
    def all(self) -> bool:
        """Whether everything that was asked is right."""
        return all(right is not False for right in asdict(self).values())


def read(pictures: Tensor) -> list[Scene]:
    """What pictures (n, 3, s, s) in [0, 1] show: a Scene each, with up to two things, largest first.

    Their `place` or `relation` is the one that their centres have.
    """
    return [_read_one(picture) for picture in pictures]


def grade(picture: Scene, asked: Request) -> Grade:
    """Compare what a picture shows, as `read` gives it, with what a caption asks for.

    The things seen are matched with the things asked for so that most is right. One wrong thing of two makes the
    attribute wrong for the picture.
    """
    wanted = asked.things
    best: tuple[int, dict[str, bool | None], tuple[Thing, ...]] | None = None
    for chosen in permutations(picture.things, min(len(wanted), len(picture.things))):
        rights = {
            name: [getattr(want, name) == getattr(seen, name) for want, seen in zip(wanted, chosen, strict=False)]
            for name in ("colour", "shape", "size")
        }
        told = {name: [getattr(want, name) is not None for want in wanted] for name in rights}
        # A colour is harder to get right by accident than a size, so it decides first which thing is which.
        score = sum(
            weight * sum(right and say for right, say in zip(rights[name], told[name], strict=False))
            for name, weight in (("colour", 4), ("shape", 2), ("size", 1))
        )
        marks = {name: _mark(rights[name], told[name]) for name in rights}
        if best is None or score > best[0]:
            best = score, marks, chosen
    assert best is not None
    _, marks, chosen = best
    complete = len(chosen) == len(wanted)
    return Grade(
        count=not wanted or len(picture.things) == len(wanted),
        background=None if asked.background is None else picture.background == asked.background,
        colour=marks["colour"],
        shape=marks["shape"],
        size=marks["size"],
        place=None if asked.place is None else complete and place_of(chosen[0]) == asked.place,
        relation=None if asked.relation is None else complete and relation_of(*chosen) == asked.relation,
    )


def _mark(rights: list[bool], told: list[bool]) -> bool | None:
    if not any(told):
        return None
    missing = len(told) - len(rights)
    return all(right or not say for right, say in zip([*rights, *[False] * missing], told, strict=True))


def place_of(thing: Thing) -> str:
    """The place of PLACES that the centre of a thing is in."""
    x, y = thing.x - 0.5, thing.y - 0.5
    if max(abs(x), abs(y)) <= CENTER_REACH:
        return "center"
    step = (0 if abs(x) < abs(y) else (1 if x > 0 else -1), 0 if abs(y) <= abs(x) else (1 if y > 0 else -1))
    return next(name for name, direction in PLACES.items() if direction == step)


def relation_of(first: Thing, second: Thing) -> str:
    """The relation of RELATIONS that the first thing has to the second, along the axis that parts them further."""
    x, y = first.x - second.x, first.y - second.y
    if abs(x) >= abs(y):
        return "left of" if x < 0 else "right of"
    return "above" if y < 0 else "below"


def summary(grades: Sequence[Grade]) -> dict[str, float]:
    """Share of right pictures in [0, 1] for each attribute, over the pictures where it was asked; and `all`."""
    out = {}
    for name in Grade.__dataclass_fields__:
        asked = [right for right in (getattr(each, name) for each in grades) if right is not None]
        if asked:
            out[name] = sum(asked) / len(asked)
    return out | {"all": sum(each.all for each in grades) / max(1, len(grades))}


def _read_one(picture: Tensor) -> Scene:
    size = picture.shape[-1]
    names = [*BACKGROUNDS, *COLOURS]
    palette = torch.tensor([*BACKGROUNDS.values(), *COLOURS.values()]) / 255
    border = torch.cat((picture[:, 0], picture[:, -1], picture[:, :, 0], picture[:, :, -1]), 1).median(1).values
    ground = int((palette[: len(BACKGROUNDS)] - border).square().sum(1).argmin())
    background = palette[ground]

    labels = (picture.permute(1, 2, 0)[:, :, None] - palette).square().sum(-1).argmin(-1)
    one_hot = functional.one_hot(labels, len(palette)).permute(2, 0, 1).float()
    neighbours = functional.conv2d(one_hot[:, None], torch.ones(1, 1, 3, 3), padding=1)[:, 0] - one_hot
    core = one_hot * (neighbours >= FRINGE_NEIGHBOURS)
    whole = {index: _largest_piece(core[index]) for index in range(len(BACKGROUNDS), len(palette))}
    least = SMALLEST_CORE * size**2
    found: list[int] = []
    for index in sorted(whole, key=lambda index: -float(whole[index].sum())):
        # The edge of a red thing on black is brown: a colour that mostly lines a larger thing is that thing's edge.
        lines = any((_grown(whole[other]) * whole[index]).sum() > EDGE_SHARE * whole[index].sum() for other in found)
        if whole[index].sum() >= least and not lines:
            found.append(index)
    things = [
        _fit(_cover(picture, background, palette[index]) * _grown(whole[index]), names[index]) for index in found[:2]
    ]
    scene = Scene(tuple(things), names[ground])
    if len(things) == 1:
        return Scene(scene.things, scene.background, place=place_of(things[0]))
    if len(things) == 2:
        return Scene(scene.things, scene.background, relation=relation_of(*things))
    return scene


def _grown(mask: Tensor, pixels: int = 1) -> Tensor:
    """A mask (s, s) widened by some pixels on every side."""
    return functional.max_pool2d(mask[None, None], 2 * pixels + 1, 1, pixels)[0, 0]


def _largest_piece(mask: Tensor) -> Tensor:
    """The largest connected piece of a 0/1 mask (s, s); pieces up to four pixels apart (a broken ring) are one."""
    if not mask.any():
        return mask
    closed = _grown(mask, 2)
    numbers = closed * torch.arange(1, closed.numel() + 1, dtype=closed.dtype).reshape(closed.shape)
    while True:
        spread = _grown(numbers) * closed
        if torch.equal(spread, numbers):
            break
        numbers = spread
    inside = numbers[mask > 0]
    return mask * (numbers == inside.mode().values)


def _cover(picture: Tensor, background: Tensor, colour: Tensor) -> Tensor:
    """How far each pixel has gone from the background's colour to the thing's, in [0, 1]."""
    way = colour - background
    return ((picture - background[:, None, None]) * way[:, None, None]).sum(0).div(way.square().sum()).clamp(0, 1)


def _fit(mask: Tensor, colour: str) -> Thing:
    """The shape, size and centre whose coverage overlaps a soft mask (s, s) best (intersection over union)."""
    size = mask.shape[-1]
    solid = mask > 0.5
    rows, columns = (solid.any(axis).nonzero().flatten() for axis in (1, 0))
    if not len(rows):
        return Thing(SHAPES[0], colour, next(iter(SIZES)), 0.5, 0.5)
    # To the nearest half pixel, so that the templates of all pictures are the same few.
    x, y = (float(span[0] + span[-1] + 1) / 2 for span in (columns, rows))
    templates, looks = _templates(size)
    padding = size // 2
    left, top = int(x), int(y)
    window = functional.pad(mask, (padding,) * 4)[top : top + size, left : left + size]
    common = torch.minimum(window, templates).sum((1, 2))
    overlap = common / (window.sum() + templates.sum((1, 2)) - common)
    best = looks[int(overlap.argmax())]
    return Thing(best.shape, colour, best.size, (left + best.x) / size, (top + best.y) / size)


@cache
def _templates(size: int) -> tuple[Tensor, list[Thing]]:
    """Coverage (n, size, size) of each shape and size, centred up to two pixels from the middle in half-pixel steps.

    The things beside it carry the shift in pixels as their x and y.
    """
    steps = [step / 2 * max(1, size / 32) for step in range(-4, 5)]
    looks = [Thing(shape, "", name, x, y) for shape in SHAPES for name in SIZES for x in steps for y in steps]
    shapes = torch.tensor([SHAPES.index(look.shape) for look in looks])
    centres = torch.tensor([(size // 2 + look.x, size // 2 + look.y) for look in looks]) / size
    radii = torch.tensor([SIZES[look.size] for look in looks])
    return coverage(shapes, centres, radii, size), looks


def grade_pictures(pictures: Tensor, requests: Sequence[Request]) -> list[Grade]:
    """Grade pictures (n, 3, s, s) in [0, 1] against n requests."""
    return [grade(scene, asked) for scene, asked in zip(read(pictures), requests, strict=True)]
