"""The process that runs rows on one device, and keeps models and what rows share warm in between."""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
from collections.abc import Iterator
from contextlib import redirect_stdout
from multiprocessing.connection import Connection
from typing import Any, Protocol

import psutil

from ...graph.batch import Row, batch
from ...graph.catalog import Catalog
from ...graph.files import Files
from ...graph.node import NodeError
from ...graph.store import MemoryStore
from ...graph.workflow import Workflow
from ...nodes.models import runtime
from ..jobs.worker import leave_interrupts_to_the_server
from ..memory import explain
from .entry import entry
from .places import clear, folder_of, of_row
from .reports import Begun, Cancel, Ended, Finish, Finished, Ready, Rows, Setup
from .sizes import Growing

KEPT_BYTES = 1 << 30
"""Of results that later rows may share, at most; and never more than an eighth of the computer's memory."""

_PATIENCE = 0.02
"""Seconds to wait for another row where there is nothing else to do."""


def work(connection: Connection, setup: Setup) -> None:
    """Run rows until there are no more, or until who sends them is gone. Runs in a process of its own."""
    leave_interrupts_to_the_server()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin make small models slow beside other work
    with redirect_stdout(sys.stderr):  # what libraries print is for who started the batch
        serve(connection, setup)
    os._exit(0)  # taking PyTorch down takes seconds


def serve(connection: Ends, setup: Setup) -> None:
    """Run what `connection` brings until it brings no more."""
    _Worker(connection, setup).serve()


class Ends(Protocol):
    """What a worker hears and reports through; `recv` raises `EOFError` or `OSError` where nobody is left."""

    def recv(self) -> Any: ...
    def send(self, obj: Any, /) -> None: ...


class _Worker:
    def __init__(self, connection: Ends, setup: Setup) -> None:
        self._connection, self._setup = connection, setup
        self._rows: queue.SimpleQueue[Row | None] = queue.SimpleQueue()
        self._cancel = threading.Event()
        self._files = of_row(Files(setup.reading, setup.out))

    def serve(self) -> None:
        threading.Thread(target=self._listen, name="listener", daemon=True).start()
        salt, fault = self._take_device()
        self._report(Ready(fault))
        if not fault:
            self._run(salt)
        self._report(Finished())

    def _run(self, salt: str) -> None:
        setup = self._setup
        done = batch(
            Workflow.of(setup.document),
            Catalog(setup.modules, setup.package),
            self._waiting(),
            goals=setup.goals,
            store=MemoryStore(min(KEPT_BYTES, psutil.virtual_memory().total // 8)),
            files=self._files(0),
            cancel=self._cancel,
            salt=salt,
            explain=explain,
            sizes=Growing(setup.at_once),
        )
        for row, result in done:
            if not result.cancelled:
                again = any(outcome.fault for outcome in result.outcomes.values())
                self._report(Ended(entry(row, result, self._seeds(row), setup.out), again))

    def _waiting(self) -> Iterator[Row | None]:
        """Rows as they come; None where there is none for now."""
        idle = False
        while not self._cancel.is_set():
            try:
                row = self._rows.get(timeout=_PATIENCE if idle else 0.0001)
            except queue.Empty:
                idle = True
                yield None
                continue
            if row is None:
                return
            idle = False
            self._report(Begun(row.number))
            yield row

    def _seeds(self, row: Row) -> dict[str, int]:
        settings = self._setup.document["nodes"]
        found = {}
        for key in self._setup.seeds:
            node, _, name = key.rpartition(".")
            found[key] = row.settings.get(key, settings[node].get("settings", {}).get(name, 0))
        return found

    def _listen(self) -> None:
        """In a thread of its own, so that a cancel is heard while a node computes."""
        while True:
            try:
                message = self._connection.recv()
            except (EOFError, OSError):
                os._exit(1)  # who sends rows is gone, and nobody writes down what ends
            if isinstance(message, Rows):
                if message.again:
                    clear(self._setup.out, message.again.__contains__, map(folder_of, message.again))
                for number, settings in message.rows:
                    self._rows.put(Row(number, settings, self._files(number)))
            elif isinstance(message, Finish):
                self._rows.put(None)
            elif isinstance(message, Cancel):
                self._cancel.set()

    def _take_device(self) -> tuple[str, str]:
        """What results depend on besides the workflow, and a sentence where the device cannot be used."""
        if self._setup.machine is None:
            return "", ""
        try:
            if self._setup.threads:
                import torch

                torch.set_num_threads(self._setup.threads)
            runtime.use_settings(self._setup.machine)
            return runtime.salt(self._setup.machine), ""
        except NodeError as error:
            return "", str(error)
        except Exception as error:  # a broken installation
            logging.getLogger(__name__).exception("The worker cannot compute")
            return "", f"PyTorch or diffusers cannot be used: {type(error).__name__}: {error}"

    def _report(self, report: Ready | Begun | Ended | Finished) -> None:
        try:
            self._connection.send(report)
        except OSError:
            os._exit(1)
