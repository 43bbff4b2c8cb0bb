"""How the network of `nodes/shapes/features.py` learns to read the captioned world.

Pictures are drawn anew at every step, a little blurred and with a little noise, so that what nobody sees does not
count for much. At each position it answers by what covers the surroundings; where an outline passes nothing is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from ..shapes.features import ANSWERS, PALETTE, STRIDE, Reader
from ..shapes.render import coverage, render
from ..shapes.scene import SHAPES, SIZES, Scene, random_scenes
from .loop import Descent, Report, Trained, descend, generator_at, silent

COVERED, FREE = 0.4, 0.05
"""Shares of a position's surroundings: what covers more is there; where all covers less the background is."""

UNASKED = -100
"""The answer that cross-entropy passes over."""


def fit_features(
    folder: Path,
    steps: int = 4000,
    batch: int = 32,
    size: int = 32,
    rate: float = 3e-3,
    noise: float = 0.03,
    seed: int = 0,
    report: Report = silent,
    stop_after: int | None = None,
) -> tuple[Reader, Trained]:
    """Train the network in `folder`, resuming from its last checkpoint. Returns the averaged network and the curve."""
    torch.manual_seed(seed)
    reader = Reader()

    def loss_at(step: int) -> Tensor:
        scenes = random_scenes(batch, f"features/{seed}/{step}")
        pictures = disturbed(render(scenes, size), noise, generator_at(seed, step))
        told, asked = reader(pictures), answers(scenes, size)
        thing = asked["shape"] > 0
        return torch.stack([_loss(told[name], asked[name], thing) for name in ANSWERS]).sum()

    trained = descend(folder, reader, loss_at, Descent(steps, rate, weight_decay=1e-4), report, stop_after)
    reader.load_state_dict(trained.weights)
    return reader.eval(), trained


def answers(scenes: Sequence[Scene], size: int) -> dict[str, Tensor]:
    """For each of `ANSWERS` the right word's number at each position, (n, size / 4, size / 4), or `UNASKED`."""
    covers = _covers(scenes, size)
    free = covers.amax(1) < FREE
    found = {}
    for name, words in zip(ANSWERS, zip(*map(_words, scenes), strict=True), strict=True):
        ground, first, second = torch.tensor(words)[:, :, None, None].unbind(1)
        asked = torch.full_like(free, UNASKED, dtype=torch.long)
        for cover, word in zip(covers.unbind(1), (first, second), strict=True):
            asked = torch.where(cover > COVERED, word, asked)
        found[name] = torch.where(free, ground, asked)
    return found


def accuracy(reader: Reader, scenes: Sequence[Scene], size: int) -> dict[str, float]:
    """Share of the things, and for `background` of the pictures, that are read right: by the most likely word over all
    positions that the thing covers."""
    with torch.no_grad():
        told = {name: logits.log_softmax(1) for name, logits in reader(render(scenes, size)).items()}
    marks: dict[str, list[bool]] = {name: [] for name in ("background", *ANSWERS)}
    for row, (scene, asked) in enumerate(zip(scenes, _each(answers(scenes, size)), strict=True)):

        def read(name: str, where: Tensor, row: int = row) -> int:
            return int(told[name][row][:, where].mean(1).argmax())

        ground = asked["shape"] == 0
        marks["background"].append(read("colour", ground) == PALETTE.index(scene.background))
        for thing in scene.things:
            where = asked["colour"] == PALETTE.index(thing.colour)
            if where.any():
                for name in ANSWERS:
                    marks[name].append(read(name, where) == int(asked[name][where][0]))
    return {name: sum(each) / max(1, len(each)) for name, each in marks.items()}


def disturbed(pictures: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    """`pictures` (n, 3, h, w) with noise of a deviation of up to `noise`, and half of them slightly blurred."""
    count = len(pictures)
    level = noise * torch.rand(count, 1, 1, 1, generator=generator)
    share = 0.5 * (torch.rand(count, 1, 1, 1, generator=generator) * 2 - 1).clamp(min=0)
    blurred = functional.avg_pool2d(functional.pad(pictures, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return torch.lerp(pictures, blurred, share) + level * torch.randn(pictures.shape, generator=generator)


def _loss(logits: Tensor, right: Tensor, thing: Tensor) -> Tensor:
    """Mean cross-entropy where a `thing` is and where none is, half and half: most positions show the background."""
    errors = functional.cross_entropy(logits, right, ignore_index=UNASKED, reduction="none")
    return (errors * thing).sum() / thing.sum() / 2 + (errors * ~thing).sum() / (right != UNASKED).sum() / 2


def _words(scene: Scene) -> list[tuple[int, int, int]]:
    """For each of `ANSWERS` the right word's number on the background, on the first thing and on the second."""
    first, second = scene.things[0], scene.things[-1]
    sizes = list(SIZES)
    return [
        (PALETTE.index(scene.background), PALETTE.index(first.colour), PALETTE.index(second.colour)),
        (0, SHAPES.index(first.shape) + 1, SHAPES.index(second.shape) + 1),
        (0, sizes.index(first.size) + 1, sizes.index(second.size) + 1),
    ]


def _covers(scenes: Sequence[Scene], size: int) -> Tensor:
    """The share of each position's surroundings that the first and the last thing cover, (n, 2, size / 4, size / 4)."""
    pairs = [(scene.things[0], scene.things[-1]) for scene in scenes]
    shapes = torch.tensor([[SHAPES.index(thing.shape) for thing in pair] for pair in pairs])
    centres = torch.tensor([[(thing.x, thing.y) for thing in pair] for pair in pairs])
    radii = torch.tensor([[SIZES[thing.size] for thing in pair] for pair in pairs])
    return functional.avg_pool2d(coverage(shapes, centres, radii, size), STRIDE)


def _each(answered: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    rows = zip(*(rows.unbind() for rows in answered.values()), strict=True)
    return [dict(zip(answered, row, strict=True)) for row in rows]
