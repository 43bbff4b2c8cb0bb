"""What a node shows on the page: pictures, tables, curves and texts of its outputs, and the pictures it saved."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

from PIL import Image as Pillow

from ...nodes.types import Figure, Image, Mask, Methods, Prompts, Report, Results, Series, Table
from . import wire
from .pictures import THUMBNAIL, data_url, keep, picture_of, sheet_of, shown
from .plain import plain
from .wire import Output

MOST_PICTURES = 16
MOST_ROWS = 1000
MOST_POINTS = 2000
"""Of one output; beyond that a page only gets slow."""

_PICTURES = (".png", ".jpg", ".jpeg", ".webp")


def outputs_of(values: Mapping[str, Any], folder: Path) -> list[Output]:
    """What `values`, a node's outputs by name, look like; recipes and latents look like nothing. Pictures are written
    to `folder`. Raises `OSError` where that fails."""
    return [output for name, value in values.items() for output in _shown(name, value, folder)]


def saved(files: Iterable[str], output: Path, folder: Path) -> list[Output]:
    """The pictures among `files`, POSIX paths below `output`, with previews in `folder`. What is damaged or gone is
    left out."""
    found: list[Output] = []
    pictures = (file for file in files if file.lower().endswith(_PICTURES))
    for file in list(pictures)[:MOST_PICTURES]:
        try:
            with Pillow.open(output / file) as picture:
                found.append(shown(file, picture.convert("RGB"), folder, f"/api/outputs/{quote(file)}"))
        except (OSError, ValueError, Pillow.DecompressionBombError):
            continue
    return found


def thumbnail_of(values: Mapping[str, Any], folder: Path) -> str | None:
    """The URL of a small picture of the first output that is one."""
    pictures = (value.pixels for value in values.values() if isinstance(value, Image))
    return next((keep(sheet_of(pixels, THUMBNAIL), folder, THUMBNAIL) for pixels in pictures), None)


def live(value: Any) -> str | None:
    """A picture of the state in mid-run as a data URL; None for what is no image."""
    return data_url(sheet_of(value.pixels, THUMBNAIL)) if isinstance(value, Image) else None


def _shown(name: str, value: Any, folder: Path) -> Iterator[Output]:
    if isinstance(value, Image | Mask):
        several = value.pixels if isinstance(value, Image) else value.values
        for each in several[:MOST_PICTURES]:
            yield shown(name, picture_of(each), folder)
    elif isinstance(value, Table):
        rows = [[plain(cell) for cell in row] for row in value.rows[:MOST_ROWS]]
        yield wire.TableOutput(name=name, columns=list(value.columns), rows=rows)
    elif isinstance(value, Report):
        yield wire.TableOutput(name=name, columns=["what", "value"], rows=[list(row) for row in _facts(value)])
    elif isinstance(value, Results):
        measured = [[each.name, round(each.seconds, 4), each.report.calls] for each in value.each]
        yield wire.TableOutput(name=name, columns=["method", "seconds", "network calls"], rows=plain(measured))
    elif isinstance(value, Figure):
        yield wire.FigureOutput(
            name=name,
            title=value.title,
            x_label=value.x_label,
            y_label=value.y_label,
            series=[_curve(series) for series in value.series],
        )
    elif isinstance(value, Prompts):
        yield wire.TextOutput(name=name, text=plain("\n".join(value.texts)))
    elif isinstance(value, Methods):
        yield wire.TextOutput(name=name, text=plain("\n".join(method.name for method in value.each)))
    elif isinstance(value, str | int | float):
        yield wire.TextOutput(name=name, text=plain(str(value)))


def _facts(report: Report) -> Iterator[tuple[str, int | float]]:
    """What a run took, line by line; what was not measured is left out."""
    yield "steps", report.steps
    for branch in report.branches:
        yield f"network calls, {branch.name}", branch.made
        if branch.saved:
            yield f"network calls saved, {branch.name}", branch.saved
    yield "network passes", report.passes
    yield from report.counts
    yield "seconds", round(report.total_seconds, 4)
    if report.seconds:
        yield "seconds a step, median", round(median(report.seconds), 5)
    if report.memory is not None:
        yield "peak memory, MB", round(report.memory / 1e6, 1)
    if report.flops is not None:
        yield "GFLOPs", round(report.flops / 1e9, 3)


def _curve(series: Series) -> wire.Series:
    """A series of points that can be drawn, thinned out evenly where there are very many; both ends stay."""
    points = [(float(x), float(y)) for x, y in zip(series.x, series.y, strict=False)]
    points = _thinned([point for point in points if all(map(math.isfinite, point))])
    return wire.Series(name=series.name, x=[x for x, _ in points], y=[y for _, y in points], points=series.points)


def _thinned(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    if len(points) <= MOST_POINTS:
        return points
    stride = (len(points) - 1) / (MOST_POINTS - 1)
    return [points[round(index * stride)] for index in range(MOST_POINTS)]
