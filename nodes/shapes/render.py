"""Draw scenes with signed distance functions: exact edges, anti-aliased over one pixel, at any size."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .scene import BACKGROUNDS, COLOURS, SHAPES, SIZES, Scene


def _box(x: Tensor, y: Tensor, half_width: float, half_height: float) -> Tensor:
    return torch.maximum(x.abs() - half_width, y.abs() - half_height)


def _triangle(x: Tensor, y: Tensor) -> Tensor:
    # Apex (0, -1), base from (-1, 0.75) to (1, 0.75): the slanted side has the normal (1.75, -1) / |.|
    return torch.maximum(y - 0.75, (1.75 * x.abs() - y - 1) / (1.75**2 + 1) ** 0.5)


DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "circle": lambda x, y: torch.hypot(x, y) - 1,
    "square": lambda x, y: _box(x, y, 0.86, 0.86),
    "triangle": _triangle,
    "diamond": lambda x, y: (x.abs() + y.abs() - 1) * 0.5**0.5,
    "cross": lambda x, y: torch.minimum(_box(x, y, 1, 0.34), _box(x, y, 0.34, 1)),
    "ring": lambda x, y: (torch.hypot(x, y) - 0.72).abs() - 0.28,
    "bar": lambda x, y: _box(x, y, 1, 0.4),
}
"""Signed distance to the outline of each shape of radius 1 around the origin, negative inside. None reaches past 1
along either axis, so two things whose centres are further apart than their radii never touch."""


def coverage(shapes: Tensor, centres: Tensor, radii: Tensor, size: int) -> Tensor:
    """How much of each pixel each thing covers.

    shapes (...) indices into SHAPES, centres (..., 2) as (x, y) and radii (...) in fractions of the side.
    Returns (..., size, size) in [0, 1].
    """
    flat_shapes, flat_centres, flat_radii = shapes.reshape(-1), centres.reshape(-1, 2), radii.reshape(-1)
    middle = (torch.arange(size, dtype=torch.float32) + 0.5) / size
    x = (middle[None, None, :] - flat_centres[:, 0, None, None]) / flat_radii[:, None, None]
    y = (middle[None, :, None] - flat_centres[:, 1, None, None]) / flat_radii[:, None, None]
    x, y = x.expand(-1, size, size), y.expand(-1, size, size)
    out = torch.empty(x.shape)
    for index, name in enumerate(SHAPES):
        chosen = flat_shapes == index
        if chosen.any():
            pixels = DISTANCES[name](x[chosen], y[chosen]) * flat_radii[chosen][:, None, None] * size
            out[chosen] = (0.5 - pixels).clamp(0, 1)
    return out.reshape(*shapes.shape, size, size)


def paint(masks: Tensor, colours: Tensor, backgrounds: Tensor) -> Tensor:
    """Lay things over backgrounds, the last on top.

    masks (n, k, h, w), colours (n, k, 3), backgrounds (n, 3), all in [0, 1]. Returns (n, 3, h, w) in [0, 1].
    """
    picture = backgrounds[:, :, None, None].expand(-1, -1, *masks.shape[-2:])
    for mask, colour in zip(masks.unbind(1), colours.unbind(1), strict=True):
        picture = torch.lerp(picture, colour[:, :, None, None], mask[:, None])
    return picture


def render(scenes: Sequence[Scene], size: int = 32) -> Tensor:
    """Draw captioned scenes as (n, 3, size, size) in [0, 1]."""
    most = max(len(scene.things) for scene in scenes)
    shapes = torch.zeros(len(scenes), most, dtype=torch.long)
    centres = torch.full((len(scenes), most, 2), -9.0)  # things that a scene lacks stand far outside the picture
    radii = torch.full((len(scenes), most), 0.1)
    colours = torch.zeros(len(scenes), most, 3)
    for row, scene in enumerate(scenes):
        for column, thing in enumerate(scene.things):
            shapes[row, column] = SHAPES.index(thing.shape)
            centres[row, column] = torch.tensor((thing.x, thing.y))
            radii[row, column] = SIZES[thing.size]
            colours[row, column] = torch.tensor(COLOURS[thing.colour]) / 255
    backgrounds = torch.tensor([BACKGROUNDS[scene.background] for scene in scenes]) / 255
    return paint(coverage(shapes, centres, radii, size), colours, backgrounds)


def render_dense(count: int, size: int, generator: torch.Generator, things: int = 7) -> Tensor:
    """Crowded pictures without captions, (count, 3, size, size) in [0, 1], to teach an autoencoder every edge.

    Up to `things` overlapping shapes of any radius and place; half of the colours come from the palettes, half are any.
    """
    palette = torch.tensor([*COLOURS.values(), *BACKGROUNDS.values()]) / 255

    def rand(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator)

    named = palette[torch.randint(len(palette), (count, things + 1), generator=generator)]
    colours = torch.where(rand(count, things + 1, 1) < 0.5, named, rand(count, things + 1, 3))
    shapes = torch.randint(len(SHAPES), (count, things), generator=generator)
    radii = 0.08 + 0.17 * rand(count, things)
    masks = coverage(shapes, rand(count, things, 2), radii, size)
    masks = masks * (rand(count, things) < 0.75)[:, :, None, None]
    return paint(masks, colours[:, 1:], colours[:, 0])
