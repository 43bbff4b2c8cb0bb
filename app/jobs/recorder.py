"""Who keeps what was run."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from .wire import JobDetail


class Recorder(Protocol):
    """Called one call at a time in a thread of its own, so it may take its time; what it raises is logged.

    `lock` holds the versions of the libraries and the fingerprints of the models, as in a workflow file; `files` what
    was written, as POSIX paths below the output folder.
    """

    def submitted(self, job: JobDetail) -> None: ...

    def ended(self, job: JobDetail, lock: Mapping[str, Any], files: Sequence[str]) -> None: ...


class Recording:
    """Calls a recorder in a thread of its own, in the order of what happened."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def submitted(self, job: JobDetail) -> None:
        self._calls.put(lambda: self._recorder.submitted(job))

    def ended(self, job: JobDetail, lock: Mapping[str, Any], files: Sequence[str]) -> None:
        self._calls.put(lambda: self._recorder.ended(job, lock, files))

    def close(self) -> None:
        """Everything is recorded."""
        self._calls.put(None)
        self._thread.join()

    def _run(self) -> None:
        while call := self._calls.get():
            try:
                call()
            except Exception:  # a full disk costs the history a run, and must not cost the queue its recorder
                logging.getLogger(__name__).exception("A job could not be recorded")
