"""A run on its way from node to node: it asks for each call of a node's function, and goes on with what came of it.

Who drives it makes the call at once, as `run` does, or waits until several runs ask for calls that go together, as
`batch` does.
"""

from __future__ import annotations

import re
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from time import perf_counter
from typing import Any, Literal

from . import document, events
from .call import Call, Made
from .check import Bound, Checked
from .events import Tell
from .files import FileRefused, Files
from .keys import keys, lasting, plain
from .node import NodeError
from .ports import type_name
from .problems import Problem, quoted
from .progress import Cancelled, Progress
from .provenance import Provenance
from .store import Result, Store, versions
from .workflow import Workflow

Status = Literal["done", "reused", "failed", "skipped", "cancelled", "muted"]

Explain = Callable[[Exception], str | None]
"""A sentence for an error of a library that is no fault of the node, such as memory that ran out; None for others."""


@dataclass(frozen=True)
class Outcome:
    """What became of a node. `error` is a sentence; `notes` are the facts it noted, also when it was reused. A `fault`
    is an error that nobody foresaw, and that may not come again."""

    status: Status
    seconds: float = 0.0
    error: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)
    fault: bool = False


@dataclass(frozen=True)
class RunResult:
    """`values[goal][output]` of the goals that were reached, and the outcome of every node they need or that is muted.
    `models` holds the fingerprints of the models that what was made rests on."""

    values: Mapping[str, Mapping[str, Any]]
    outcomes: Mapping[str, Outcome]
    seconds: float
    warnings: tuple[Problem, ...] = ()
    models: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return all(outcome.status in ("done", "reused", "muted") for outcome in self.outcomes.values())

    @property
    def cancelled(self) -> bool:
        return any(outcome.status == "cancelled" for outcome in self.outcomes.values())


Calls = Generator[Call, Made, RunResult]
"""A run that asks for calls. An exception thrown in is the call's."""


class Walk:
    """One run's state. Values are held by key, so that equal nodes share one, and only while something needs them."""

    def __init__(
        self,
        workflow: Workflow,
        checked: Checked,
        store: Store | None = None,
        tell: Tell | None = None,
        files: Files | None = None,
        cancel: threading.Event | None = None,
        salt: str = "",
        explain: Explain | None = None,
    ) -> None:
        self.workflow, self.checked, self.store = workflow, checked, store
        self.tell = _nobody if tell is None else tell
        self.explain = _unexplained if explain is None else explain
        self.nodes, self.order = checked.nodes, checked.order
        self.files, self.cancel = files or Files(), cancel or threading.Event()
        self.keys, self.salt = keys(self.order, self.nodes, files, salt), salt
        self.results: dict[str, Result] = {}
        self.models: dict[str, Any] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.failed: dict[str, str] = {}  # node -> the failed node it depends on, or itself

    def calls(self) -> Calls:
        """The calls the run needs, one after another; it returns what came of it."""
        begun = perf_counter()
        warnings = tuple(problem for problem in self.checked.problems if not problem.needed)
        try:
            self.tell(events.RunStarted(self.order, warnings))
            for id_ in self.checked.muted:
                self._end(id_, Outcome("muted"), events.Muted(id_))
            yield from self._go()
        except KeyboardInterrupt:
            self.cancel.set()
            for id_ in self.order:
                if id_ not in self.outcomes:
                    self._end(id_, Outcome("cancelled"), events.Cancelled(id_))
        reached = [goal for goal in self.checked.goals if self.outcomes[goal].status in ("done", "reused")]
        values = {goal: self.results[self.keys[goal]].outputs for goal in reached}
        result = RunResult(values, self.outcomes, perf_counter() - begun, warnings, self.models)
        self.tell(events.RunFinished(result.seconds, result.ok))
        return result

    def _go(self) -> Generator[Call, Made, None]:
        kept = self._kept()
        uses = Counter(self.keys[goal] for goal in self.checked.goals)
        uses.update(source for id_ in self.order if id_ not in kept for source in self._sources(id_))
        for id_ in self.order:
            if id_ in kept:
                self._reuse(id_, kept.pop(id_))
                continue
            yield from self._come_to(id_)
            uses.subtract(sources := self._sources(id_))
            for key in sources:
                if not uses[key]:
                    self.results.pop(key, None)

    def _kept(self) -> dict[str, Result | None]:
        """What need not run, with the kept results that are needed themselves: `None` stands for what only other kept
        results were made of. Looked up from the goals backwards, so that no more is fetched than is used."""
        kept: dict[str, Result | None] = {}
        wanted = set(self.checked.goals)
        for id_ in reversed(self.order):
            if id_ not in wanted:
                kept[id_] = None
                continue
            if (result := self._stored(id_)) is not None:
                kept[id_] = result
            else:
                wanted.update(source for source, _ in self.nodes[id_].wires)
        return kept

    def _stored(self, id_: str) -> Result | None:
        return self.store.get(self.keys[id_]) if self.store is not None and lasting(self.keys[id_]) else None

    def _sources(self, id_: str) -> list[str]:
        """Keys of what goes into a node, once for every wire."""
        return [self.keys[source] for source, _ in self.nodes[id_].wires]

    def _reuse(self, id_: str, result: Result | None) -> None:
        key = self.keys[id_]
        if result is not None:
            self._hold(key, result)
        notes = result.notes if result else {}
        self._end(id_, Outcome("reused", notes=notes), events.Reused(id_, key, partial(self._values, id_)))

    def _hold(self, key: str, result: Result) -> None:
        self.results[key] = result
        self.models.update(result.models)

    def _values(self, id_: str) -> Mapping[str, Any] | None:
        result = self.results.get(self.keys[id_]) or self._stored(id_)
        return result.outputs if result else None

    def _come_to(self, id_: str) -> Generator[Call, Made, None]:
        node = self.nodes[id_]
        because = [self.failed[source] for source, _ in node.wires if source in self.failed]
        if because:
            self.failed[id_] = because[0]
            reason = f"It needs {quoted(because[0])}, which failed."
            self._end(id_, Outcome("skipped", error=reason), events.Skipped(id_, because[0]))
        elif self.cancel.is_set():
            self._end(id_, Outcome("cancelled"), events.Cancelled(id_))
        elif (twin := self.results.get(self.keys[id_])) is not None:
            self._reuse(id_, twin)
        else:
            yield from self._call(node)

    def _call(self, node: Bound) -> Generator[Call, Made, None]:
        id_, notes = node.id, {}
        self.tell(events.Started(id_))
        begun = perf_counter()
        try:
            made = yield Call(node, self.keys[id_], self._arguments(node, notes))
            outputs = _outputs(node, made.value)
            result = Result(outputs, notes, self._models(node, notes))
        except Cancelled:
            self.cancel.set()
            self._end(id_, Outcome("cancelled", perf_counter() - begun, notes=notes), events.Cancelled(id_))
        except Exception as error:  # whatever a node raises is told, and stops only what depends on it
            expected = isinstance(error, NodeError | FileRefused)
            explained = str(error) if expected else self.explain(error)
            sentence = explained or f"{type(error).__name__}: {error}".removesuffix(": ")
            trace = "" if explained else traceback.format_exc()
            seconds = perf_counter() - begun
            self.failed[id_] = id_
            outcome = Outcome("failed", seconds, sentence, notes, fault=not explained)
            self._end(id_, outcome, events.Failed(id_, sentence, seconds, trace))
        else:
            self._hold(key := self.keys[id_], result)
            if self.store is not None and lasting(key):
                self.store.put(key, result)
            finished = events.Finished(id_, made.seconds, key, partial(self._values, id_))
            self._end(id_, Outcome("done", made.seconds, notes=notes), finished)

    def _arguments(self, node: Bound, notes: dict[str, Any]) -> dict[str, Any]:
        arguments = dict(node.settings)
        for port in node.declaration.inputs.values():
            sources = node.sources.get(port.name, ())
            values = tuple(self.results[self.keys[id_]].outputs[output] for id_, output in sources)
            arguments[port.name] = port.default if not values else values if port.many else values[0]
        for parameter, kind in node.declaration.injected.items():
            arguments[parameter] = self._injected(kind, node, notes)
        return arguments

    def _injected(self, kind: type, node: Bound, notes: dict[str, Any]) -> Any:
        if kind is Files:
            return self.files
        if kind is Provenance:
            return self._provenance(node)

        def step(done: int, total: int, label: str, preview: Callable[[], Any] | None) -> None:
            self.tell(events.Progressed(node.id, done, total, label, preview))

        def note(facts: Mapping[str, Any]) -> None:
            notes.update(facts)
            self.tell(events.Noted(node.id, facts))

        return Progress(step, note, self.cancel)

    def _models(self, node: Bound, notes: Mapping[str, Any]) -> dict[str, Any]:
        """The models a result depends on: those of the inputs, and what the node noted as `models` itself."""
        found = {}
        for key in self._sources(node.id):
            found.update(self.results[key].models)
        return {**found, **notes.get("models", {})}

    def _provenance(self, node: Bound) -> Provenance:
        lock = {**versions(), **({"machine": self.salt} if self.salt else {}), "models": self._models(node, {})}
        text = document.dump({**self.workflow.document, "lock": lock})
        return Provenance(text, self._settings, lock, file_name(self.workflow.name), node.id)

    @cached_property
    def _settings(self) -> dict[str, Any]:
        """Every setting in force, by `node.setting`."""
        return {f"{id_}.{name}": value for id_ in self.order for name, value in plain(self.nodes[id_]).items()}

    def _end(self, id_: str, outcome: Outcome, event: events.Event) -> None:
        self.outcomes[id_] = outcome
        self.tell(event)


def _outputs(node: Bound, returned: Any) -> dict[str, Any]:
    """What the function returned, by output, if it is what it declares."""
    outputs = node.declaration.unpack(returned)
    for port, value in outputs.items():
        declared = node.declaration.outputs[port]
        if not isinstance(value, declared.gives):
            given = type_name(type(value))
            raise TypeError(f"the output {port} is declared as {declared.type_names}, and the node returned {given}")
    return outputs


def file_name(title: str) -> str:
    """A workflow's name as a file name."""
    return re.sub(r"[^\w.-]+", "_", title)[:80].strip("._") or "image"


def _nobody(event: events.Event) -> None:
    """Hears a run _nobody listens to."""


def _unexplained(error: Exception) -> None:
    """Has no sentence for any error."""
