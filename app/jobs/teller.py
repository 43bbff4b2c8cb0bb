"""The events of a run as reports to the server: few, small, and never in the way of the run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path, PurePath
from time import monotonic
from typing import Any

from ...graph import events
from ...graph.events import Event
from . import previews
from .places import Places
from .plain import plain
from .reports import NodeEnded, Noted, Report, Shown, Started, Stepped

STEPS_APART = 1 / 30
PREVIEWS_APART = 0.1
"""Seconds at least; who looks sees no difference beyond that."""

PREVIEWS_REST = 4
"""Times as long as a preview took that none is made after it, so that previews take at most a fifth of the time."""


class Teller:
    """Hears one run. Pictures of what is finished are made in a thread of their own; `finish` waits for them."""

    def __init__(self, report: Callable[[Report], None], places: Places) -> None:
        self._report, self._places = report, places
        self._painter = ThreadPoolExecutor(1, "previews")
        self._pending: list[Future[None]] = []
        self._last_step = 0.0
        self._next_preview = 0.0
        self._previewed = False
        self._files: dict[str, list[str]] = {}
        self.failures: list[events.Failed] = []

    def __call__(self, event: Event) -> None:
        match event:
            case events.Started(node):
                self._last_step = self._next_preview = 0.0
                self._previewed = False
                self._report(Started(node))
            case events.Progressed():
                self._step(event)
            case events.Noted(node, facts):
                self._note(node, facts)
            case events.Finished(node, seconds):
                self._report(NodeEnded(node, "done", seconds))
                self._show(node, event.values())
            case events.Reused(node):
                self._report(NodeEnded(node, "reused"))
                self._show(node, event.values())
            case events.Failed(node, sentence, seconds):
                self.failures.append(event)
                self._report(NodeEnded(node, "failed", seconds, plain(sentence)))
            case events.Skipped(node, because):
                self._report(NodeEnded(node, "skipped", error=f"It needs {because}, which failed."))
            case events.Cancelled(node):
                self._report(NodeEnded(node, "cancelled"))

    def finish(self) -> None:
        """Every picture is made and told."""
        wait(self._pending)
        self._painter.shutdown()

    def _step(self, event: events.Progressed) -> None:
        now = monotonic()
        if now - self._last_step < STEPS_APART and event.done < event.total:
            return
        self._last_step = now
        preview = self._live(event, now)
        self._report(Stepped(event.node, int(event.done), int(event.total), plain(event.label), preview))

    def _live(self, event: events.Progressed, now: float) -> str | None:
        if event.preview is None or now < self._next_preview:
            return None
        try:
            preview = previews.live(event.preview())
        except Exception:  # a preview that cannot be made is no reason to end the run
            logging.getLogger(__name__).exception("The preview of %s failed", event.node)
            preview = None
        cost = monotonic() - now
        rest = PREVIEWS_REST * cost if self._previewed else 0.0  # the first loads what makes them, once
        self._previewed = True
        self._next_preview = now + cost + max(PREVIEWS_APART, rest)
        return preview

    def _note(self, node: str, facts: Mapping[str, Any]) -> None:
        told = plain(facts)
        if "files" in facts:
            self._files[node] = told["files"] = [self._below_output(file) for file in facts["files"]]
        self._report(Noted(node, told))

    def _below_output(self, file: Any) -> str:
        path = PurePath(str(file))
        root = self._places.output
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()

    def _show(self, node: str, values: Mapping[str, Any] | None) -> None:
        files = self._files.pop(node, [])
        if values or files:
            self._pending.append(self._painter.submit(self._paint, node, values or {}, files))

    def _paint(self, node: str, values: Mapping[str, Any], files: list[str]) -> None:
        folder: Path = self._places.previews
        try:
            outputs = previews.outputs_of(values, folder)
            small = previews.thumbnail_of(values, folder)
            kept = previews.saved(files, self._places.output, folder)
        except Exception:  # a full disk, a tensor of an odd shape: the run has its results all the same
            logging.getLogger(__name__).exception("What %s shows could not be made", node)
            return
        if outputs or kept:
            self._report(Shown(node, (*outputs, *kept), small))
