"""What the training nodes give: a folder to go on from, the curve of the loss, and pictures of what was learnt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ...graph.progress import Progress
from ..models.identity import identity
from ..types import Figure, Folder, Image, Series, Table


class Part(NamedTuple):
    """A trained part of a model."""

    folder: Folder
    losses: Figure
    samples: Image


class TextEncoder(NamedTuple):
    """Trained text encoders and what they understand."""

    folder: Folder
    losses: Figure
    accuracy: Table


class Reader(NamedTuple):
    """A trained network that reads pictures, and what it reads right."""

    folder: Folder
    losses: Figure
    accuracy: Table


def telling(progress: Progress, label: str):
    """A report to `progress`: each step is told, with its loss, and is a place to stop at."""

    def report(step: int, steps: int, loss: float) -> None:
        progress.step(step, steps, f"{label}: loss {loss:.4f}")

    return report


def as_folder(path: Path) -> Folder:
    """`path` as what a wire carries; its fingerprint is that of the content below it."""
    return Folder(str(path), identity(path))


def curve(title: str, **losses: Sequence[tuple[int, float]]) -> Figure:
    """Losses over steps, one series a phase."""
    series = tuple(
        Series(name, tuple(float(step) for step, _ in points), tuple(loss for _, loss in points))
        for name, points in losses.items()
    )
    return Figure(title, "step", "loss", series)
