"""What came of a job, as Gradio components: how far it is, and pictures, tables, curves and texts of its nodes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.components import Component

from ..graph.problems import Problem
from .jobs.places import Places
from .jobs.wire import FigureOutput, Job, JobDetail, NodeState, Picture, TableOutput, TextOutput
from .public import PublicOutput, words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BAR = "width: 100%; accent-color: var(--color-accent)"
_OUTPUTS, _PREVIEWS = "/api/outputs/", "/api/previews/"


class Result:
    """What one node gives, by kind; a kind it does not give is not seen."""

    def __init__(self, output: PublicOutput, places: Places) -> None:
        self.output, self._places = output, places

    def draw(self) -> list[Component]:
        label = self.output.label
        return [
            gr.Gallery(
                label=label,
                visible=False,
                columns=2,
                object_fit="contain",
                buttons=["download", "fullscreen"],
                elem_id=f"app-{self.output.node}",
            ),
            gr.Dataframe(label=label, visible=False),
            gr.Plot(label=label, visible=False),
            gr.Textbox(label=label, visible=False, interactive=False),
        ]

    def updates(self, job: JobDetail, seen: str | None) -> tuple[str, list[Any]]:
        """A name of what there is to see, and what the components become; nothing where that is `seen`."""
        state = job.nodes.get(self.output.node, NodeState())
        name = hashlib.sha256(repr((job.id, state.outputs)).encode()).hexdigest()
        if name == seen:
            return name, [gr.skip()] * 4
        pictures = [self._file(each) for each in state.outputs if isinstance(each, Picture)]
        tables = [each for each in state.outputs if isinstance(each, TableOutput)]
        figures = [each for each in state.outputs if isinstance(each, FigureOutput)]
        texts = [each.text for each in state.outputs if isinstance(each, TextOutput)]
        return name, [
            gr.Gallery(pictures, visible=bool(pictures), selected_index=0 if len(pictures) == 1 else None),
            gr.Dataframe(_rows(tables), visible=bool(tables)),
            gr.Plot(_drawn(figures), visible=bool(figures)),
            gr.Textbox("\n\n".join(texts), visible=bool(texts)),
        ]

    def _file(self, picture: Picture) -> Path:
        """The file a node saved, which carries its workflow, or else the preview."""
        if picture.full and picture.full.startswith(_OUTPUTS):
            return self._places.output / picture.full.removeprefix(_OUTPUTS)
        return self._places.previews / picture.url.removeprefix(_PREVIEWS)


def standing(job: Job | None = None, problems: Iterable[Problem] = ()) -> str:
    """HTML: how far a job is and what it is going to be, how it ended, or why it was not begun."""
    if job is None:
        return f'<div role="alert">{"".join(_failure(problem.sentence) for problem in problems)}</div>'
    lines = {
        "queued": "Waiting for its turn.",
        "running": _running(job),
        "done": f"Done in {(job.ended or 0) - (job.started or 0):.1f} s.",
        "cancelled": "Cancelled.",
        "failed": "",
    }
    parts = [lines[job.status] and f'<p role="status">{escape(lines[job.status])}</p>']
    if job.status in ("queued", "running"):
        parts.append(f'<progress max="1" value="{job.progress:.4f}" aria-label="Progress" style="{_BAR}"></progress>')
        parts.append(_preview(job))
    if job.status == "failed":
        parts.append(f'<div role="alert">{"".join(_failure(sentence) for sentence in _reasons(job))}</div>')
    return "".join(parts)


def _running(job: Job) -> str:
    for node, state in _at_work(job):
        text = words(node)
        if state.label:
            text += f", {state.label}"
        if state.total:
            text += f": step {state.done} of {state.total}"
        if state.left is not None:
            text += f", {state.left:.0f} s left"
        return f"{text}."
    return "Running."


def _preview(job: Job) -> str:
    for node, state in _at_work(job):
        if state.preview:
            source = escape(state.preview, quote=True)
            style = "width: 100%; max-width: 24rem; image-rendering: pixelated"
            return f'<img src="{source}" alt="{escape(words(node))}, not finished" style="{style}">'
    return ""


def _at_work(job: Job) -> list[tuple[str, NodeState]]:
    nodes = job.nodes if isinstance(job, JobDetail) else {}
    return [(node, state) for node, state in nodes.items() if state.status == "running"]


def _reasons(job: Job) -> list[str]:
    nodes = job.nodes if isinstance(job, JobDetail) else {}
    failed = [f"{words(node)}: {state.error}" for node, state in nodes.items() if state.status == "failed"]
    return failed or [job.error or "The run failed."]


def _failure(sentence: str) -> str:
    return f'<p style="color: var(--error-text-color)">{escape(sentence)}</p>'


def _rows(tables: Sequence[TableOutput]) -> dict[str, Any] | None:
    """The first table; a node gives one."""
    return {"headers": list(tables[0].columns), "data": [list(row) for row in tables[0].rows]} if tables else None


def _drawn(figures: Sequence[FigureOutput]) -> Figure | None:
    """All curves, one diagram below the other."""
    if not figures:
        return None
    from matplotlib.figure import Figure  # takes half a second, which few workflows need

    drawing = Figure(figsize=(6, 4 * len(figures)), layout="constrained")
    for axes, figure in zip(drawing.subplots(len(figures), squeeze=False)[:, 0], figures, strict=True):
        for series in figure.series:
            axes.plot(series.x, series.y, "o" if series.points else "-", label=series.name)
        axes.set(title=figure.title, xlabel=figure.x_label, ylabel=figure.y_label)
        axes.grid(alpha=0.3)
        if any(series.name for series in figure.series):
            axes.legend()
    return drawing
