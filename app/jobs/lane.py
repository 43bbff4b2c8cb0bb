"""One device: its worker, started anew where it died, and the job it runs."""

from __future__ import annotations

import logging
import threading
from time import monotonic
from typing import Protocol

from .process import WorkerProcess, sentence_of
from .record import Record
from .reports import Cancel, JobEnded, Ready, Report, Setup, Stop, Task
from .worker import work

PATIENCE = 3.0
"""Seconds a job that was cancelled has before it is ended with its worker, if that is asked for again."""


class Owner(Protocol):
    """Who gives a lane its jobs. Called with the lock held."""

    def free(self) -> None:
        """A lane can take a job."""
        ...

    def heard(self, record: Record, report: Report) -> None:
        """The worker of a running job reports; after `JobEnded` the lane runs it no more."""
        ...

    def lost(self, lane: Lane, record: Record | None, sentence: str) -> None:
        """The worker died while it ran `record`; without one, before it was ready for any."""
        ...


class Lane:
    """`ready` while a worker listens. Everything is asked and told under `lock`, which is the owner's."""

    def __init__(self, device: str, setup: Setup, owner: Owner, lock: threading.RLock) -> None:
        self.device, self._setup, self._owner, self._lock = device, setup, owner, lock
        self.running: Record | None = None
        self.ready = False
        self.cancelling = False
        self._proven = False  # the worker has ended a job
        self._asked = 0.0
        self._worker: WorkerProcess | None = None
        self._stopped = False

    def start(self) -> None:
        """Start a worker where there is none; the owner is told when it is ready."""
        if self._worker is not None or self._stopped:
            return
        self._proven = False
        try:
            self._worker = WorkerProcess(self._setup, self._hear, self._died, self.device, work)
        except OSError as error:
            self._owner.lost(self, None, f"No worker could be started: {error.strerror}.")

    def run(self, record: Record, task: Task) -> None:
        self.running, self.cancelling = record, False
        self._send(task)

    def cancel(self) -> None:
        """Stop what runs, within one step. Asked again after some seconds, end the worker of a node that takes none."""
        if self.running is None or self._worker is None:
            return
        if not self.cancelling:
            self.cancelling, self._asked = True, monotonic()
            self._send(Cancel(self.running.job.id))
        elif monotonic() - self._asked > PATIENCE:
            self._worker.kill()

    def stop(self) -> WorkerProcess | None:
        """Ask the worker to end, for good; it is to be joined without the lock."""
        self._stopped = True
        self._send(Stop())
        return self._worker

    def _send(self, message: Task | Cancel | Stop) -> None:
        if self._worker is not None:
            self._worker.send(message)

    def _hear(self, worker: WorkerProcess, report: Report) -> None:
        with self._lock:
            if worker is not self._worker:
                return
            if isinstance(report, Ready):
                self.ready = True
                self._owner.free()
            elif record := self.running:
                if isinstance(report, JobEnded):
                    self.running, self._proven = None, True
                self._owner.heard(record, report)

    def _died(self, worker: WorkerProcess, code: int) -> None:
        with self._lock:
            if worker is not self._worker:
                return
            was_ready, record = self.ready, self.running
            self._worker, self.ready, self.running = None, False, None
            if not self._stopped:
                logging.getLogger(__name__).warning("The worker of %s ended with code %d", self.device, code)
            if self._proven:  # else one that dies of itself would be started for ever: it waits for the next job
                self.start()
            if record is not None or not was_ready:
                self._owner.lost(self, record, sentence_of(code))
            else:
                self._owner.free()
