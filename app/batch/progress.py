"""How far a batch is: rows, failures, rows a second, time left. A bar for a person, a line now and then for a log."""

from __future__ import annotations

import time
from collections import deque
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from .. import show

WINDOW_SECONDS = 30.0
"""The pace is that of the last so many seconds."""

LINE_SECONDS = 30.0
"""Between two lines of a log."""


class Progress:
    """Of `total` rows, of which `before` had ended before this command began."""

    def __init__(self, total: int, before: int) -> None:
        self.total, self.done, self.failed = total, before, 0
        self._began = self._told = time.monotonic()
        self._moments: deque[tuple[float, int]] = deque([(self._began, before)])
        console = show.console(error=True)
        self._bar = Bar(
            TextColumn("rows"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[said]}", markup=False),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._lines = not console.is_terminal
        self._task = self._bar.add_task("rows", total=total, completed=before, said="")

    def ended(self, rows: int, failed: int) -> None:
        """So many more rows have ended, of which some failed; called also where none has."""
        self.done, self.failed = self.done + rows, self.failed + failed
        now = time.monotonic()
        self._moments.append((now, self.done))
        while now - self._moments[0][0] > WINDOW_SECONDS and len(self._moments) > 2:
            self._moments.popleft()
        self._bar.update(self._task, completed=self.done, said=self.said)
        if self._lines and now - self._told >= LINE_SECONDS:
            self._told = now
            show.line(", ".join(filter(None, (f"{self.done} of {self.total} rows", self.said))), error=True)

    @property
    def pace(self) -> float:
        """Rows a second, lately."""
        (then, before), (now, after) = self._moments[0], self._moments[-1]
        return (after - before) / (now - then) if now > then else 0.0

    @property
    def said(self) -> str:
        parts = []
        if pace := self.pace:
            parts = [f"{pace:.2f} rows/s", f"{_clock((self.total - self.done) / pace)} left"]
        if self.failed:
            parts.append(f"{self.failed} failed")
        return ", ".join(parts)

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()


def _clock(seconds: float) -> str:
    """As people read it: 45 s, 3 min 20 s, 2 h 5 min."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
