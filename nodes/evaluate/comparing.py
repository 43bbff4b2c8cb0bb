"""Measured methods as a table, a figure and a sheet of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Sheet

from ..types import Figure, Image, Measured, Series, Table
from .quality import Quality, better

BEATS = {1: "yes", 0: "equal", -1: "no"}


@dataclass(frozen=True, eq=False)
class Row:
    """One method beside the baseline; `rival` is the plain run that takes the same time."""

    measured: Measured
    quality: Quality
    baseline: Measured
    rival: Row | None = None

    @property
    def speed_up(self) -> float:
        return self.baseline.seconds / self.measured.seconds

    @property
    def limit(self) -> float | None:
        """How many times less was computed than for the baseline, by the operations counted."""
        ours, theirs = self.measured.report.flops, self.baseline.report.flops
        return theirs / ours if ours and theirs else None

    @property
    def beats_plain(self) -> str | None:
        return None if self.rival is None else BEATS[better(self.quality, self.rival.quality)]

    @property
    def cells(self) -> dict[str, Any]:
        """The row of the table, by column."""
        measured, report, quality, limit = self.measured, self.measured.report, self.quality, self.limit
        return {
            "method": measured.name,
            "seconds": _round(measured.seconds, 4),
            "speed-up": _round(self.speed_up, 3),
            "limit": _round(limit, 3),
            "of the limit": _round(limit and self.speed_up / limit, 3),
            "calls": _round(report.calls / max(1, report.runs), 2),
            "GFLOPs": _round(None if report.flops is None else report.flops / 1e9, 3),
            "memory MB": _round(None if report.memory is None else report.memory / 1e6, 1),
            "PSNR": _round(quality.psnr, 2),
            "SSIM": _round(_mean(quality.similarity), 4),
            "drift": _round(_mean(quality.drift), 5),
            "attributes right": _round(_mean(quality.right), 4),
            "all right": _round(_mean(quality.wholly), 4),
            "reward": _round(_mean(quality.reward), 4),
            "beats plain": self.beats_plain,
            "plain of equal time": self.rival and self.rival.measured.name,
        }


def table(rows: Sequence[Row]) -> Table:
    """One row a method; columns of which nothing is known are left out."""
    cells = [row.cells for row in rows]
    columns = [name for name in cells[0] if any(each[name] is not None for each in cells)]
    return Table(tuple(columns), tuple(tuple(each[name] for name in columns) for each in cells))


def figure(rows: Sequence[Row], quality: str) -> Figure:
    """Speed against the column `quality`: one point a method and setting, plain runs as a curve."""
    groups: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        value = row.cells[quality]
        if value is not None:
            groups.setdefault("" if row.measured.plain else row.measured.group, []).append((row.speed_up, value))
    plain = [Series("plain, fewer steps", *_axes(sorted(groups.pop("", []))))]
    points = [Series(name, *_axes(sorted(found)), points=True) for name, found in groups.items()]
    return Figure("Speed against quality", "times as fast as the baseline", quality, tuple(plain + points))


def sheet(rows: Sequence[Row], pictures: int) -> Image:
    """The first `pictures` of each method, a method a line, with its name and what it gained."""
    shown = min(pictures, len(rows[0].measured.image.pixels))
    drawn = Sheet(figsize=(1.6 * shown + 2.4, 1.6 * len(rows)), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(drawn)
    cells = drawn.subplots(len(rows), shown, squeeze=False)
    for row, line in zip(rows, cells, strict=True):
        for cell, picture in zip(line, row.measured.image.pixels[:shown], strict=True):
            cell.imshow(picture.permute(1, 2, 0).clamp(0, 1).numpy(), interpolation="nearest")
            cell.set(xticks=[], yticks=[])
        label = "\n".join([*row.measured.name.split(", "), f"{row.speed_up:.2f} times as fast"])
        line[0].set_ylabel(label, rotation=0, horizontalalignment="right", verticalalignment="center")
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    return Image(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255)


def _axes(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(x for x, _ in points), tuple(y for _, y in points)


def _mean(values: torch.Tensor | None) -> float | None:
    return None if values is None else float(values.float().mean())


def _round(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
