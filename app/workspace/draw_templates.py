"""Draw the pictures of the template gallery by running the workflows: for maintainers, after one of them changed.

    python -m latentloom.app.workspace.draw_templates [NAME ...]

A workflow that saves no picture is shown by bars of the first table it saves. Runs that would take long are made with
smaller settings, given below; the title of the bars then tells of how many the shares are.
"""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from PIL import Image

from ...graph.catalog import Catalog
from ...graph.problems import Refused
from ...graph.run import run
from ...graph.workflow import Workflow
from ...nodes.catalog import NODES
from ...nodes.upgrades import UPGRADES
from ..folders import SHIPPED, files
from . import pictures
from .templates import PICTURES

MAX_BYTES = 60_000
SIDE = 512
"""Pixels of the longer side at most."""

_FOUR = {"prompts.count": 4, "canvas.batch": 4}

SMALLER: dict[str, dict[str, Any]] = {
    "train/grade_shapes": {"prompts.count": 60, "canvas.batch": 60},
    "methods/compare_caches": _FOUR,
    "methods/compare_guidance": _FOUR,
    "methods/compare_transformer_caches": _FOUR,
    "methods/everything_together": _FOUR,
    "methods/fit_linear_ag": {},
    "methods/search_timesteps": {},
}
"""Settings that make a run short. Methods that are not named here are drawn with their results, by
`tests/benchmarks/results.py`."""

LEFT_OUT = {
    "train/shapes_unet": "takes hours",
    "train/shapes_dit": "takes hours",
    "train/shapes_dit_sla": "takes half an hour",
    "train/shapes_features": "takes minutes and shows a curve",
}
"""What has no picture, and why."""

_QUALITIES = range(95, 30, -5)


def draw(names: Annotated[list[str] | None, typer.Argument(help="Templates; all where none is named.")] = None) -> None:
    """Run the shipped workflows and keep a small picture of what each makes."""
    every = (file for pattern in ("*.json", "*/*.json") for file in sorted(SHIPPED.glob(pattern)))
    for name in names or [file.relative_to(SHIPPED).with_suffix("").as_posix() for file in every]:
        if name in LEFT_OUT:
            print(f"{name}: no picture, as it {LEFT_OUT[name]}")
            continue
        if name.startswith("methods/") and name not in SMALLER:
            print(f"{name}: drawn by tests/benchmarks/results.py")
            continue
        data = picture_of(name)
        place = SHIPPED / PICTURES / f"{name}.webp"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        print(f"{name}: {len(data)} bytes")


def picture_of(name: str) -> bytes:
    """WebP of what the shipped workflow `name` makes. Raises `Refused` where it makes nothing to be seen."""
    source = SHIPPED / f"{name}.json"
    workflow = Workflow.read(source, UPGRADES).with_settings(SMALLER.get(name, {}))
    with tempfile.TemporaryDirectory() as folder:
        result = run(workflow, Catalog(NODES, "latentloom.nodes"), files=files(source, (), (), Path(folder)))
        written = [Path(file) for outcome in result.outcomes.values() for file in outcome.notes.get("files", ())]
        for file in sorted(written, key=lambda file: file.suffix not in pictures.ENDINGS):
            if file.suffix in pictures.ENDINGS:
                return small(pictures.decode(file))
            if file.suffix == ".csv":
                return small(bars(workflow.name, file.read_text("utf-8")))
    failed = "; ".join(outcome.error for outcome in result.outcomes.values() if outcome.error)
    raise RuntimeError(f"{name} made nothing to be seen. {failed}")


def small(picture: Image.Image) -> bytes:
    """WebP of at most `SIDE` pixels and `MAX_BYTES` bytes."""
    picture = pictures.clean(picture)
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    data = b""
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", quality=quality, method=6)
        data = buffer.getvalue()
        if len(data) <= MAX_BYTES:
            break
    return data


def bars(title: str, table: str) -> Image.Image:
    """The first column of a CSV table against the second, shares from 0 to 1; the largest of the third is how many they
    are of."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    _, *rows = csv.reader(io.StringIO(table))
    names, shares, counts = zip(*((name, float(share), int(count)) for name, share, count in rows), strict=True)
    figure = Figure(figsize=(5.12, 5.12), dpi=100, layout="constrained")
    axes = figure.subplots()
    drawn = axes.barh(names, shares, color="#5b8def")
    axes.bar_label(drawn, [f"{share:.0%}" for share in shares], padding=3)
    axes.set(title=f"{title}: share right, of {max(counts)}", xlim=(0, 1.15))
    axes.invert_yaxis()
    axes.xaxis.set_visible(False)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


if __name__ == "__main__":
    try:
        typer.run(draw)
    except Refused as refused:
        raise SystemExit(str(refused)) from None
