"""The workers of a batch: they are given rows as they need them, and are started anew where they died.

What a worker dies of is one of the rows it had begun. These are run again alone, each in a worker with nothing else,
so that a row that takes its worker with it is found, and given up after some tries; the others lose nothing.
"""

from __future__ import annotations

import queue
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from ...graph.problems import Problem, Refused
from ..jobs.process import WorkerProcess, sentence_of
from .entry import Entry
from .reports import Begun, Cancel, Ended, Finish, Finished, Ready, Rows, Setup
from .sizes import MOST_ON_GPU
from .worker import work

TRIES = 3
"""How often a row is run that takes its worker with it, or fails by an error that nobody foresaw."""

_LEAST, _MOST = 16, 8 * MOST_ON_GPU
"""Rows a worker holds: so many that rows that go together meet, and near the end so few that workers end together."""

NODE_LOST = -signal.SIGTERM
"""Stands for the exit code of a worker whose machine is gone: that is no row's fault."""

_BARREN = 5
"""Workers in a row that died before they began any row: then it is no row's fault."""


class Worker(Protocol):
    """What runs rows, somewhere. It gives its reports and, when it has died, a code; `tells_all` says whether by then
    all its reports were heard."""

    tells_all: bool

    def send(self, message: Any) -> None: ...
    def kill(self) -> None: ...
    def join(self) -> None: ...


Hear = Callable[[Any, Any], None]
Start = Callable[[Setup, Hear, Hear, str], Worker]
"""Starts a worker with its setup, what hears its reports, what hears its death, and its name."""


class LocalWorker(WorkerProcess):
    """A process of this machine."""

    tells_all = True

    def __init__(self, setup: Setup, hear: Hear, died: Hear, name: str) -> None:
        super().__init__(setup, hear, died, name, work)


@dataclass(eq=False)
class _Member:
    """One worker. `held` are the rows it was sent and has not ended, and whether they were begun."""

    setup: Setup
    name: str
    process: Worker | None = None
    ready: bool = False
    alone: bool = False
    held: dict[int, bool] = field(default_factory=dict)


class Crew:
    """Runs `rows`, whose settings `settings` gives by number. `died` writes down that a row took its worker with it,
    and says how often it has by now."""

    def __init__(
        self,
        setups: Mapping[str, Setup],
        rows: Iterator[int],
        count: int,
        settings: Callable[[int], Mapping[str, Any]],
        died: Callable[[int], int],
        start: Start = LocalWorker,
    ) -> None:
        self._members = [_Member(setup, name) for name, setup in setups.items()]
        self._rows, self._left, self._settings, self._count_death = rows, count, settings, died
        self._start_worker = start
        self._again: deque[int] = deque()
        self._suspects: deque[int] = deque()
        self._tries: dict[int, int] = {}
        self._begun_before: set[int] = set()
        self._reports: queue.SimpleQueue[tuple[_Member, Worker, Any]] = queue.SimpleQueue()
        self._barren = 0

    def ended(self) -> Iterator[list[Entry]]:
        """What became of the rows: as many at once as have ended since the last were taken, also none, some times a
        second. Raises `Refused` where no worker can run."""
        for member in self._members:
            self._start(member)
        while self._left or self._again or self._suspects or any(member.held for member in self._members):
            for member in self._members:
                self._feed(member)
            yield self._heard(0.25)

    def cancel(self, patience: float) -> Iterator[list[Entry]]:
        """Let no more be begun, and stop what runs at its next step; what still ends meanwhile."""
        until = time.monotonic() + patience
        for member in self._members:
            self._send(member, Cancel())
        while any(member.process for member in self._members) and time.monotonic() < until:
            yield self._heard(0.1, restart=False)

    def close(self) -> None:
        """Let all workers go, at once where they do not by themselves."""
        for member in self._members:
            self._send(member, Finish())
        for member in self._members:
            if member.process is not None:
                if member.held or not member.ready:
                    member.process.kill()
                member.process.join()

    def _start(self, member: _Member) -> None:
        member.ready = member.alone = False

        def hear(worker: Worker, report: Any) -> None:
            self._reports.put((member, worker, report))

        member.process = self._start_worker(member.setup, hear, hear, member.name)

    def _send(self, member: _Member, message: Any) -> None:
        if member.process is not None:
            member.process.send(message)

    def _feed(self, member: _Member) -> None:
        if not member.ready or (member.alone and member.held):
            return
        member.alone = False
        share = -(-self._left // (2 * len(self._members)))
        wanted = max(_LEAST, min(_MOST, share if len(self._members) > 1 else _MOST))
        if len(member.held) > wanted // 2:
            return
        numbers = [number for _ in range(wanted - len(member.held)) if (number := self._next()) is not None]
        if not numbers and not member.held and self._suspects:
            numbers, member.alone = [self._suspects.popleft()], True
        if numbers:
            member.held |= dict.fromkeys(numbers, False)
            rows = tuple((number, self._settings(number)) for number in numbers)
            self._send(member, Rows(rows, frozenset(self._begun_before.intersection(numbers))))

    def _next(self) -> int | None:
        if self._again:
            return self._again.popleft()
        if self._left:
            self._left -= 1
            return next(self._rows)
        return None

    def _heard(self, patience: float, restart: bool = True) -> list[Entry]:
        """What has ended by now; waits for the first report, at most `patience` seconds."""
        entries: list[Entry] = []
        block = True
        while True:
            try:
                member, worker, report = self._reports.get(block, patience)
            except queue.Empty:
                return entries
            block = False
            if worker is member.process:
                entries += self._take(member, report, restart)

    def _take(self, member: _Member, report: Any, restart: bool) -> Iterator[Entry]:
        if isinstance(report, Ready):
            if report.error:
                raise Refused([Problem(report.error)])
            member.ready = True
        elif isinstance(report, Begun):
            self._barren = 0
            member.held[report.row] = True
        elif isinstance(report, Ended):
            member.held.pop(report.entry.row, None)
            yield from self._ended_row(report)
        elif isinstance(report, int):
            told = member.process is not None and member.process.tells_all
            member.process = None
            if restart:
                yield from self._died(member, report, told)
                self._start(member)
        else:
            assert isinstance(report, Finished)

    def _ended_row(self, report: Ended) -> Iterator[Entry]:
        number = report.entry.row
        tries = self._tries.pop(number, 0) + 1
        if report.again and tries < TRIES:
            self._tries[number] = tries
            self._begun_before.add(number)
            self._again.append(number)
        else:
            yield replace(report.entry, tries=tries)

    def _died(self, member: _Member, code: int, told: bool) -> Iterator[Entry]:
        held, member.held = member.held, {}
        begun = [number for number, was_begun in held.items() if was_begun or not told]
        self._begun_before.update(begun)
        if code == NODE_LOST:
            self._again.extendleft(reversed(held))
            return
        self._again.extendleft(reversed([number for number in held if number not in begun]))
        if len(begun) == 1:
            tries = self._count_death(begun[0])
            if tries >= TRIES:
                settings = self._settings(begun[0])
                yield Entry(begun[0], "failed", settings, error=sentence_of(code), tries=tries, ended=time.time())
            else:
                self._suspects.append(begun[0])
        elif begun:  # fewer of them together may be what they needed
            self._suspects.extend(begun)
            fewer = max(1, (member.setup.at_once or MOST_ON_GPU) // 2)
            member.setup = replace(member.setup, at_once=fewer)
        else:
            self._barren += 1
            if self._barren >= _BARREN * len(self._members):
                raise Refused([Problem(f"No worker could run. {sentence_of(code)}")])
