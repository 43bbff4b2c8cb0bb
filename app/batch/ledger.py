"""What a batch has made, kept so that it can be resumed: files first, then the journal, then the results table."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ...graph.problems import Problem, Refused, listed
from ...graph.store import versions
from ...graph.workflow import Workflow
from . import places
from .entry import Entry
from .journal import Journal, line
from .plan import Plan, digest
from .results import Results, write_parquet

SHARD = re.compile(r"(\d+)/(\d+)")
DONE, FAILED = 1, 2


@dataclass(frozen=True)
class Shard:
    """The rows whose number leaves `index` - 1 when divided by `count`."""

    index: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str | None) -> Shard:
        """`2/8` is the second of eight. Raises `Refused`."""
        if text is None:
            return cls()
        found = SHARD.fullmatch(text.strip())
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise _refused(f"--shard {text}: write it i/n, from 1/n to n/n.")
        return cls(int(found[1]), int(found[2]))

    def has(self, row: int) -> bool:
        return row % self.count == self.index - 1

    def name(self, stem: str, ending: str) -> str:
        """The name of a file of this shard's own."""
        return f"{stem}{ending}" if self.count == 1 else f"{stem}-{self.index}-of-{self.count}{ending}"


class Ledger:
    """The journal of one shard of a batch in the folder `out`, which one process at a time may use."""

    def __init__(self, out: Path, plan: Plan, shard: Shard, workflow: Workflow) -> None:
        self.out, self.plan, self.shard = out, plan, shard
        self._facts = {"workflow": _meaning(workflow, plan), **{f"version {k}": v for k, v in versions().items()}}
        self.journal = Journal(out / shard.name("journal", ".sqlite"))
        self._lock = FileLock(out / shard.name("journal", ".busy"))
        self.states = bytearray(plan.count)
        self.notices: list[str] = []
        self._results: Results | None = None

    @property
    def results_path(self) -> Path:
        return self.out / self.shard.name("results", ".jsonl")

    def open(self, resume: bool, retry_failed: bool) -> None:
        """Take the batch into use, as far as it has come. Raises `Refused` where it is in use, was begun and is not to
        be resumed, or is another."""
        self.out.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise _refused(f"Another command is at work on the batch in {self.out}; wait for it, or stop it.") from None
        try:
            self._open(resume, retry_failed)
        except BaseException:
            self.release()
            raise

    def _open(self, resume: bool, retry_failed: bool) -> None:
        began = self.journal.exists
        if began and not resume:
            raise _refused(f"{self.out} holds a batch already: go on with it by --resume, or name another --out.")
        if not began and not resume and self.results_path.exists():
            raise _refused(f"{self.results_path} is there already: go on with it by --resume, or name another --out.")
        self.journal.open()
        if resume and (self.journal.notices or not began):
            self._recover()
        if began:
            self._compare()
        self.journal.begin(self._facts)
        self._read(retry_failed)
        places.clear(self.out, self._unfinished)
        self._results = Results(self.results_path, self.journal.lines())

    def _unfinished(self, row: int) -> bool:
        return self.shard.has(row) and (row >= self.plan.count or not self.states[row])

    def missing(self, skipped: set[int]) -> Iterator[int]:
        """The rows that have not ended, in order."""
        numbers = range(self.shard.index - 1, self.plan.count, self.shard.count)
        return (number for number in numbers if not self.states[number] and number not in skipped)

    def record(self, entries: Sequence[Entry]) -> None:
        """Rows that ended: their files are on the disk before the journal says that they are done."""
        if not entries:
            return
        places.settle(self.out, [file for entry in entries for file in entry.files])
        self.journal.record(entries)
        for entry in entries:
            self.states[entry.row] = DONE if entry.status == "done" else FAILED
        assert self._results is not None
        self._results.add(map(line, entries))

    def count(self, state: int) -> int:
        return self.states.count(state)

    def close(self) -> None:
        """Write the table as Parquet too, and let go of the batch."""
        if self._results is not None:
            self._results.close()
            write_parquet(self.results_path.with_suffix(".parquet"), self.journal.lines())
        self.release()

    def release(self) -> None:
        """Let go of the batch as it is."""
        self.journal.close()
        self._lock.release()

    def _recover(self) -> None:
        """Make a journal that was lost anew from the results table, which tells the same."""
        if not self.results_path.exists():
            return
        found = []
        for text in self.results_path.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError, TypeError):  # a line that was never finished
                found.append(Entry(**json.loads(text)))
        whole = [each for each in found if all((self.out / file).is_file() for file in each.files)]
        self.journal.record({each.row: each for each in whole}.values())
        self.notices.append(f"The journal was lost, and made anew from {self.results_path}: {len(whole)} rows.")

    def _compare(self) -> None:
        then = self.journal.facts
        if then.get("workflow", self._facts["workflow"]) != self._facts["workflow"]:
            raise _refused(
                f"The batch in {self.out} was begun with another workflow or other --set; name another --out."
            )
        changed = [
            f"{name.removeprefix('version ')} was {then[name]} and is {value}"
            for name, value in self._facts.items()
            if name in then and then[name] != value
        ]
        if changed:
            self.notices.append(f"Since the batch was begun, {listed(changed)}: rows made now may differ a little.")

    def _read(self, retry_failed: bool) -> None:
        others = []
        for number, status, was in self.journal.ended():
            if number >= self.plan.count or digest(self.plan.settings(number)) != was:
                others.append(number)
            elif status == "done" or not retry_failed:
                self.states[number] = DONE if status == "done" else FAILED
        if others:
            rows = listed(map(str, others), limit=5)
            raise _refused(
                f"{len(others)} rows that have ended are others by now: {rows}. Rows may be added at the end; "
                "for other rows name another --out."
            )


def _meaning(workflow: Workflow, plan: Plan) -> str:
    """A hash of what is run, without what rows set."""
    nodes: Mapping[str, Any] = {
        id_: [
            entry.type,
            {k: v for k, v in entry.settings.items() if f"{id_}.{k}" not in plan.keys},
            entry.extra.get("mode"),
        ]
        for id_, entry in workflow.nodes.items()
    }
    text = json.dumps([nodes, [str(wire) for wire in workflow.wires]], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _refused(sentence: str) -> Refused:
    return Refused([Problem(sentence)])
