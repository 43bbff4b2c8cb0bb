"""What a running node tells, and how it learns that it should stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class Cancelled(Exception):  # noqa: N818 - the user's wish, not an error
    """Raised inside a node when the person asked to stop."""


class Progress:
    """Handed to a node that asks for it. Every call is a place where a cancelled run stops.

    `step` and `note` pass on to the listeners given; without any, as in a plain call in a test, they are silent.
    """

    def __init__(
        self,
        on_step: Callable[[int, int, str, Any], None] | None = None,
        on_note: Callable[[dict[str, Any]], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> None:
        self._on_step, self._on_note, self._cancel = on_step, on_note, cancel

    def stop_if_cancelled(self) -> None:
        """Raises `Cancelled` once the run was cancelled."""
        if self._cancel is not None and self._cancel.is_set():
            raise Cancelled

    def step(self, done: int, total: int, label: str = "", preview: Any = None) -> None:
        """`done` of `total` steps are finished. `preview` is a zero-argument function giving an `Image`,
        called only when somebody looks."""
        self.stop_if_cancelled()
        if self._on_step is not None:
            self._on_step(done, total, label, preview)

    def note(self, **facts: Any) -> None:
        """Facts for the run's report (JSON values): what was chosen, what was counted."""
        if self._on_note is not None:
            self._on_note(facts)


QUIET = Progress()
"""Tells nobody; the default of a node's `progress` parameter."""
