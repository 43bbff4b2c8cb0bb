"""Curves and points as a picture."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...graph.node import node
from ..types import Figure, Image


@node
def draw_figure(
    figure: Figure,
    width: Annotated[int, Field(ge=200, le=4096, description="pixels")] = 800,
    height: Annotated[int, Field(ge=150, le=4096, description="pixels")] = 500,
    logarithmic: Annotated[bool, Field(description="logarithmic vertical axis")] = False,
) -> Image:
    """Draw a figure with its axes named and, where there are several series, a legend."""
    import numpy as np
    import torch
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Sheet

    dpi = 100
    sheet = Sheet(figsize=(width / dpi, height / dpi), dpi=dpi, layout="constrained")
    canvas = FigureCanvasAgg(sheet)
    axes = sheet.subplots()
    for series in figure.series:
        axes.plot(series.x, series.y, "o" if series.points else "-", label=series.name)
    axes.set(title=figure.title, xlabel=figure.x_label, ylabel=figure.y_label)
    if logarithmic:
        axes.set_yscale("log")
    axes.grid(alpha=0.3)
    if len(figure.series) > 1:
        axes.legend()
    canvas.draw()
    drawn = np.asarray(canvas.buffer_rgba())[..., :3]
    return Image(torch.from_numpy(drawn.copy()).permute(2, 0, 1)[None].float() / 255)
