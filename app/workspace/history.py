"""Every run: the workflow that ran, what became of it, and what it made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .models import Comparison, RunDetail, Runs

if TYPE_CHECKING:
    from ..jobs.wire import JobDetail


class History:
    """Written by the queue (it is its `Recorder`), read by the gallery."""

    def submitted(self, job: JobDetail) -> None:
        raise NotImplementedError

    def ended(self, job: JobDetail, lock: dict[str, Any], files: list[str]) -> None:
        raise NotImplementedError

    def search(self, search: str = "", before: float | None = None, limit: int = 50) -> Runs:
        """Runs, newest first, submitted before the time `before`; with `search`, those that have all its words in a
        prompt or another text setting, a type of node, their name, file, written files, status or error."""
        raise NotImplementedError

    def get(self, id: str) -> RunDetail:  # noqa: A002
        raise NotImplementedError

    def delete(self, id: str) -> None:  # noqa: A002
        raise NotImplementedError

    def compare(self, a: str, b: str) -> Comparison:
        raise NotImplementedError
