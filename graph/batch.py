"""Run a workflow over many rows of settings: what rows share is made once, and calls that go together are made as one.

Each row is a run of its own, begun in order, that goes on until it asks for a call that can be made together with those
of other rows. Rows wait there until there is nothing else to do; then as many of one kind as there is room for go on
together, those first that have come furthest. What a row does after such a call is done in a thread beside the next
one, so that decoding and writing overlap it, and the row ends as soon as it can.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Protocol

from .call import Call, Made
from .catalog import Catalog
from .check import bind, rebind
from .files import Files
from .problems import Refused
from .progress import Cancelled
from .run import CheckFailed
from .store import MemoryStore, Store
from .walk import Calls, Explain, Outcome, RunResult, Walk
from .workflow import Workflow

SHARED_BYTES = 256 << 20
"""Of results kept for later rows, unless a store is given."""

AHEAD = 4
"""How many times as many rows are begun as go together, so that rows of one kind find each other."""


_END = "no more rows"


@dataclass(frozen=True)
class Row:
    """Settings by `node.setting`, and the files the row may read and write where they are not those of all."""

    number: int
    settings: Mapping[str, Any]
    files: Files | None = None


class Sizes(Protocol):
    """How many calls of a kind are made together."""

    def most(self, kind: Hashable) -> int: ...
    def made(self, kind: Hashable, made: Sequence[Made]) -> None: ...

    def failed(self, kind: Hashable, count: int, error: Exception) -> bool:
        """Make room where that may help; whether it may help a call that stood alone."""
        ...


@dataclass(frozen=True)
class Fixed:
    """Always at most `count` together."""

    count: int = 8

    def most(self, kind: Hashable) -> int:
        return self.count

    def made(self, kind: Hashable, made: Sequence[Made]) -> None:
        """Learns nothing."""

    def failed(self, kind: Hashable, count: int, error: Exception) -> bool:
        return False


def batch(
    workflow: Workflow,
    catalog: Catalog,
    rows: Iterable[Row | Mapping[str, Any] | None],
    *,
    goals: Iterable[str] | None = None,
    store: Store | None = None,
    files: Files | None = None,
    cancel: threading.Event | None = None,
    salt: str = "",
    explain: Explain | None = None,
    sizes: Sizes | None = None,
) -> Iterator[tuple[Row, RunResult]]:
    """What came of each row, as soon as it ends; rows are read as they are needed. A row may be given as its settings;
    None says that there is none for now, so that those begun go on.

    The other parameters are those of `run`. What is wrong with a row's settings is the error of its nodes; what is
    wrong with the workflow besides raises `CheckFailed`.
    """
    runs = _Rows(workflow, catalog, goals, store or MemoryStore(SHARED_BYTES), files, cancel, salt, explain)
    return _Batch(runs, sizes or Fixed())(rows)


@dataclass(eq=False)
class _Rows:
    """Makes the run of a row."""

    workflow: Workflow
    catalog: Catalog
    goals: Iterable[str] | None
    store: Store
    files: Files | None
    cancel: threading.Event | None
    salt: str
    explain: Explain | None

    def __post_init__(self) -> None:
        self._checked = bind(self.workflow, self.catalog, self.files, self.goals)
        if stopping := [each for each in self._checked.problems if each.needed and each.setting is None]:
            raise CheckFailed(stopping)

    def begin(self, row: Row) -> Calls:
        files = row.files or self.files
        try:
            workflow = self.workflow.with_settings(row.settings)
            checked = rebind(self._checked, row.settings, files)
            if stopping := [problem for problem in checked.problems if problem.needed]:
                raise CheckFailed(stopping)
        except Refused as refused:
            return _refused(refused)
        return Walk(workflow, checked, self.store, None, files, self.cancel, self.salt, self.explain).calls()


def _refused(refused: Refused) -> Calls:
    """The run of a row that cannot run."""
    failed = {problem.node or "": Outcome("failed", error=problem.sentence) for problem in refused.problems}
    return RunResult({}, failed, 0.0)
    yield  # never reached: it makes this a run that asks for nothing


@dataclass(eq=False)
class _Going:
    """A row on its way; `call` is what it asks for, `depth` how many calls it has made together with others."""

    row: Row
    calls: Calls
    call: Call | None = None
    result: RunResult | None = None
    depth: int = 0

    def go(self, answer: Made | BaseException | None = None) -> _Going:
        """On to the next call that goes together with others', or to the end."""
        try:
            self.call = self._answered(answer)
            while self.call.kind is None:
                self.call = self._answered(_made(self.call))
        except StopIteration as end:
            self.call, self.result = None, end.value
        return self

    def _answered(self, answer: Made | BaseException | None) -> Call:
        if isinstance(answer, BaseException):
            return self.calls.throw(answer)
        return next(self.calls) if answer is None else self.calls.send(answer)


@dataclass(eq=False)
class _Batch:
    runs: _Rows
    sizes: Sizes
    waiting: deque[_Going] = field(default_factory=deque)
    finishing: set[Future[_Going]] = field(default_factory=set)

    def __call__(self, rows: Iterable[Row | Mapping[str, Any] | None]) -> Generator[tuple[Row, RunResult], None, None]:
        source = (Row(number, row) if isinstance(row, Mapping) else row for number, row in enumerate(rows))
        with ThreadPoolExecutor(1, "finishing") as beside:
            try:
                yield from self._go(source, beside)
            finally:
                for future in self.finishing:
                    future.cancel()

    def _go(
        self, source: Iterator[Row | None], beside: ThreadPoolExecutor
    ) -> Generator[tuple[Row, RunResult], None, None]:
        more = True
        while more or self.waiting or self.finishing:
            yield from self._ended(block=(not more and not self.waiting) or len(self.finishing) > 2 * self._room())
            while more and len(self.waiting) < AHEAD * self._room():
                if (row := next(source, _END)) is None:
                    break
                if isinstance(row, Row):
                    yield from self._sorted(_Going(row, self.runs.begin(row)).go())
                else:
                    more = False
            if self.waiting:
                for going, answer in self._make(self._choose()):
                    going.depth += 1
                    self.finishing.add(beside.submit(going.go, answer))

    def _ended(self, block: bool) -> Generator[tuple[Row, RunResult], None, None]:
        """What came of the rows that have ended beside."""
        done, self.finishing = wait(self.finishing, None if block else 0, FIRST_COMPLETED)
        for future in done:
            yield from self._sorted(future.result())

    def _sorted(self, going: _Going) -> Generator[tuple[Row, RunResult], None, None]:
        if going.result is not None:
            yield going.row, going.result
        else:
            self.waiting.append(going)

    def _room(self) -> int:
        """How many calls go together now, as far as that is known."""
        waits = self.waiting[0].call if self.waiting else None
        return self.sizes.most(waits.kind) if waits else 1

    def _choose(self) -> list[_Going]:
        """Rows whose calls are made next, taken out of those that wait."""
        call = max(self.waiting, key=lambda going: going.depth).call
        assert call is not None
        kind, room = call.kind, max(1, self.sizes.most(call.kind))
        keys: set[str] = set()
        chosen = []
        for going in self.waiting:
            assert going.call is not None
            if going.call.kind == kind and (going.call.key in keys or len(keys) < room):
                keys.add(going.call.key)
                chosen.append(going)
        taken = set(map(id, chosen))
        self.waiting = deque(going for going in self.waiting if id(going) not in taken)
        return chosen

    def _make(self, together: Sequence[_Going]) -> Iterator[tuple[_Going, Made | Exception]]:
        """The answers, one for each row: calls of one key are made once."""
        calls = {going.call.key: going.call for going in together if going.call is not None}
        answers = dict(zip(calls, self._answers(list(calls.values())), strict=True))
        for going in together:
            assert going.call is not None
            yield going, answers[going.call.key]

    def _answers(self, calls: Sequence[Call], first: bool = True) -> list[Made | Exception]:
        """Calls that fail together are made again in halves, until the fault stands alone."""
        kind, count = calls[0].kind, len(calls)
        try:
            made = _together(calls)
        except Cancelled as cancelled:
            return [cancelled] * count
        except Exception as error:
            again = self.sizes.failed(kind, count, error)
            if count == 1 and not (again and first):
                return [error]
        else:
            self.sizes.made(kind, made)
            return [*made]
        # Out of the handler, the error is gone with all that its frames held, such as memory of a GPU.
        half = count // 2
        if half == 0:
            return self._answers(calls, first=False)
        return [*self._answers(calls[:half]), *self._answers(calls[half:])]


def _together(calls: Sequence[Call]) -> list[Made]:
    together = calls[0].node.declaration.together
    if len(calls) == 1 or together is None:
        return [call() for call in calls]
    begun = perf_counter()
    values = together.call([call.arguments for call in calls])
    return [Made(value, (perf_counter() - begun) / len(calls)) for value in values]


def _made(call: Call) -> Made | Exception:
    try:
        return call()
    except Exception as error:  # the row's own, whose run knows what it stops
        return error
