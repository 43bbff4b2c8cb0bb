"""A worker as the server sees it: a process to send tasks to, that reports, and that may end at any moment."""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing import connection
from typing import Any

_CONTEXT = multiprocessing.get_context("spawn")  # a fork would share the server's sockets, locks and CUDA's state

PATIENCE = 5.0
"""Seconds a worker that was asked to stop has before it is ended."""


class WorkerProcess:
    """One process that does `work`, which is told messages of its own kind. `hear` is called with each report and
    `died` with the exit code, both in this worker's own thread.

    `died` is the last call; it also comes when the worker was stopped.
    """

    def __init__(
        self,
        setup: Any,
        hear: Callable[[WorkerProcess, Any], None],
        died: Callable[[WorkerProcess, int], None],
        name: str,
        work: Callable[[connection.Connection, Any], None],
    ) -> None:
        self._hear, self._died = hear, died
        self._outgoing: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._over = threading.Event()
        self._connection, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=work, args=(theirs, setup), name=f"latentloom {name}")
        with _interrupts_blocked():
            self._process.start()
        theirs.close()
        for thread in (self._listen, self._write):
            threading.Thread(target=thread, name=f"{thread.__name__} {name}", daemon=True).start()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def send(self, message: Any) -> None:
        """Returns at once; what is sent to a worker that died is lost."""
        self._outgoing.put(message)

    def kill(self) -> None:
        """End the process now, whatever it does; `died` is told."""
        self._process.kill()

    def join(self) -> None:
        """Wait until the worker that was sent `Stop` has ended, and end it where it does not."""
        if not self._over.wait(PATIENCE):
            self._process.terminate()
        if not self._over.wait(1):
            self._process.kill()
        self._over.wait()

    def _write(self) -> None:
        """In a thread of its own: a large task fills the pipe until the worker reads it."""
        while (message := self._outgoing.get()) is not None:
            with contextlib.suppress(OSError):
                self._connection.send(message)

    def _listen(self) -> None:
        while report := self._next():
            self._hear(self, report)
        self._process.join()
        self._outgoing.put(None)
        self._connection.close()
        self._died(self, self._process.exitcode or 0)
        self._over.set()

    def _next(self) -> Any:
        """The next report; None once the worker is dead and all it had told was heard. Children of the worker may hold
        its end of the pipe open, so its end is not waited for alone."""
        connection.wait([self._connection, self._process.sentinel])
        try:
            if self._connection.poll():
                return self._connection.recv()
        except (EOFError, OSError):
            pass
        return None


def sentence_of(code: int) -> str:
    """What happened to a worker that ended with this exit code while a job ran."""
    if code == -signal.SIGKILL:
        return "The worker was killed by signal 9 (SIGKILL), most likely because the computer ran out of memory."
    if code < 0:
        crash = -code in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)
        cause = ", most likely a fault in a library or a driver" if crash else ""
        return f"The worker was ended by signal {-code} ({_signal(-code)}){cause}."
    return f"The worker ended by itself with exit code {code}."


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """A process started meanwhile begins with Ctrl+C blocked, so that it does not die of it before it is ready."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
