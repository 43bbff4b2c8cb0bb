"""The process that runs jobs on one device, one after another, and keeps models and results warm in between."""

from __future__ import annotations

import gc
import importlib
import logging
import os
import queue
import signal
import sys
import threading
from contextlib import redirect_stdout
from multiprocessing.connection import Connection
from typing import Any

from ...graph.catalog import Catalog
from ...graph.node import NodeError
from ...graph.problems import Refused, quoted
from ...graph.run import run
from ...graph.store import MemoryStore, versions
from ...graph.workflow import Workflow
from ...nodes.models import runtime
from ..memory import explain
from .plain import plain
from .reports import Cancel, JobEnded, Ready, Report, Setup, Stop, Task
from .teller import Teller

KEPT_BYTES = 4 << 30
"""Of results, at most; and never more than an eighth of the computer's memory."""

_SLOW_TO_IMPORT = (
    ("diffusers", "AutoencoderKL"),
    ("diffusers", "UNet2DConditionModel"),
    ("transformers", "CLIPTextModel"),
)
"""What nearly every workflow needs of these libraries, which import each class when it is first asked for."""


def work(connection: Connection, setup: Setup) -> None:
    """Serve until told to stop, or until the server is gone. Runs in a process of its own."""
    leave_interrupts_to_the_server()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin make small models slow beside other work
    with redirect_stdout(sys.stderr):  # what libraries print is for who started the server
        _Worker(connection, setup).serve()


class _Worker:
    def __init__(self, connection: Connection, setup: Setup) -> None:
        self._connection, self._setup = connection, setup
        self._catalog = Catalog(setup.modules, setup.package)
        self._store = MemoryStore(_room())
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._sending = threading.Lock()
        self._cancels: dict[str, threading.Event] = {}
        self._short_of_memory = False

    def serve(self) -> None:
        threading.Thread(target=self._listen, name="listener", daemon=True).start()
        self._report(Ready())
        salt, fault = self._take_device()
        while (task := self._tasks.get()) is not None:
            ended = JobEnded("failed", fault, _lock({})) if fault else self._do(task, salt)
            self._report(ended)
            self._cancels.pop(task.job, None)
            if self._short_of_memory:
                self._make_room()
        os._exit(0)

    def _listen(self) -> None:
        """In a thread of its own, so that a cancel is heard while a node computes."""
        while True:
            try:
                message = self._connection.recv()
            except (EOFError, OSError):
                os._exit(1)  # the server is gone, and nobody is left to tell anything
            if isinstance(message, Task):
                self._cancels[message.job] = threading.Event()
                self._tasks.put(message)
            elif isinstance(message, Cancel):
                if cancel := self._cancels.get(message.job):
                    cancel.set()
            elif isinstance(message, Stop):
                if not self._cancels:
                    os._exit(0)  # it has nothing to finish, and taking PyTorch down takes seconds
                for cancel in list(self._cancels.values()):
                    cancel.set()
                self._tasks.put(None)

    def _take_device(self) -> tuple[str, str]:
        """What results depend on besides the workflow, and a sentence where the device cannot be used. Imports PyTorch
        and, while nobody waits, what else takes seconds, so that the first job finds it there."""
        machine = self._setup.machine
        if machine is None:
            return "", ""
        try:
            salt = runtime.salt(machine)
            runtime.use_settings(machine)
            for library, name in _SLOW_TO_IMPORT:
                if self._tasks.empty():
                    getattr(importlib.import_module(library), name)
        except NodeError as error:
            return "", str(error)
        except Exception as error:  # a broken installation
            logging.getLogger(__name__).exception("The worker cannot compute")
            return "", f"PyTorch or diffusers cannot be used: {type(error).__name__}: {error}"
        return salt, ""

    def _do(self, task: Task, salt: str) -> JobEnded:
        teller = Teller(self._report, self._setup.places)
        try:
            result = run(
                Workflow.of(task.document),
                self._catalog,
                goals=task.goals,
                store=self._store,
                tell=teller,
                files=self._setup.places.files,
                cancel=self._cancels[task.job],
                salt=salt,
                explain=self._explain,
            )
        except Refused as refused:
            return JobEnded("failed", str(refused), _lock({}))
        except Exception as error:  # a fault of ours: the job fails, and the worker goes on
            logging.getLogger(__name__).exception("The job %s failed unexpectedly", task.job)
            return JobEnded("failed", f"{type(error).__name__}: {error}", _lock({}))
        finally:
            teller.finish()
        for failure in teller.failures:
            if failure.traceback:
                print(f"{failure.node}:\n{failure.traceback}", file=sys.stderr)
        if result.cancelled:
            return JobEnded("cancelled", lock=_lock(result.models))
        error = "" if result.ok else _why(teller)
        return JobEnded("done" if result.ok else "failed", error, _lock(result.models))

    def _explain(self, error: Exception) -> str | None:
        sentence = explain(error)
        self._short_of_memory |= sentence is not None
        return sentence

    def _make_room(self) -> None:
        """After memory ran out, so that a smaller job can be tried."""
        self._store.clear()
        if "torch" in sys.modules:
            from ...nodes.models.live import POOL

            POOL.clear()
        gc.collect()
        self._short_of_memory = False

    def _report(self, report: Report) -> None:
        with self._sending:
            try:
                self._connection.send(report)
            except OSError:
                os._exit(1)


def _why(teller: Teller) -> str:
    first, *others = teller.failures
    more = f" {len(others)} more failed." if others else ""
    return f"{quoted(first.node)} failed: {first.sentence}{more}"


def _lock(models: Any) -> dict[str, Any]:
    return {**versions(), "models": plain(models)}


def _room() -> int:
    import psutil

    return min(KEPT_BYTES, psutil.virtual_memory().total // 8)


def leave_interrupts_to_the_server() -> None:
    """Ctrl+C in a terminal reaches every process; the server ends its workers itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):  # the server started us with it blocked
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
