"""`latentloom batch`: run a workflow over the rows of a table, so that nothing is lost whatever happens."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NoReturn

from ...graph.catalog import Catalog, NodeUnavailable
from ...graph.problems import Problem, Refused
from ...graph.workflow import Workflow
from ...nodes.catalog import NODES
from ...nodes.models.runtime import RuntimeSettings
from .. import assignments, folders, opening, show
from . import faults, sheet, table
from .crew import Crew, LocalWorker
from .entry import Entry
from .faults import BadRow
from .ledger import DONE, FAILED, Ledger, Shard
from .places import of_row
from .plan import Plan, plan
from .progress import Progress
from .reports import Setup

_SHOWN = 20
"""Bad rows named one by one, and rows of a dry run."""

_SHEET_LEAST, _SHEET_REST = 5.0, 20.0
"""Seconds between two sheets, and how many more for each second that one took to write."""

_NO_ROOM = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO))
"""Errors of a disk are no fault of a row: the batch stops, to be resumed when there is room."""

PACKAGE = "latentloom.nodes"


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line."""

    file: str
    rows: Path | None
    settings: Sequence[str]
    zips: Sequence[str]
    products: Sequence[str]
    out: Path
    machines: Sequence[RuntimeSettings | None]
    goals: Sequence[str] = ()
    inputs: Sequence[Path] = ()
    models: Sequence[Path] = ()
    resume: bool = False
    retry_failed: bool = False
    limit: int | None = None
    shard: str | None = None
    skip_bad: bool = False
    dry_run: bool = False
    workers: int = 1
    at_once: int | None = None
    as_json: bool = False
    engine: Literal["local", "ray"] = "local"
    address: str | None = None


def run_batch(request: Request, modules: Mapping[str, str] = NODES, package: str = PACKAGE) -> int:
    """Run and report; 0 when all rows are done, 1 when some are not, 130 when interrupted. Raises `Refused` before a
    row has run. `modules` and `package` say where the nodes are."""
    with _terminated_as_interrupted():
        return _Command(request, modules, package)()


class _Command:
    def __init__(self, request: Request, modules: Mapping[str, str], package: str) -> None:
        self.request, self.modules, self.package = request, modules, package
        self.out = Path(os.path.realpath(request.out))
        self.path = opening.find(request.file)
        self.catalog = Catalog(modules, package)
        shard = Shard.parse(request.shard)
        problems = folders.problems(request.inputs, request.models, request.out)
        read = opening.read(self.path)
        rows = None if request.rows is None else table.read(request.rows)

        def typed(key: str, value: Any) -> Any:
            return assignments.typed(read, key, value, self.catalog) if isinstance(value, str) else value

        self.plan, same = plan(rows, request.settings, request.zips, request.products, typed)
        self.workflow, more = assignments.assign(read, same, self.catalog)
        self.files = folders.files(self.path, request.inputs, request.models, self.out)
        goals = request.goals or None
        files = of_row(self.files)(0)
        checked, faulty = faults.shared(self.workflow, self.plan, self.catalog, files, goals)
        if problems := [*problems, *more, *faulty]:
            raise Refused(problems)
        self.bad = {bad.row: bad for bad in faults.bad_rows(self.plan, checked, files) if shard.has(bad.row)}
        self.ledger = Ledger(self.out, self.plan, shard, self.workflow)
        self.stopped = ""
        self.made, self.seconds = 0, 0.0
        self._sheet_due = time.monotonic() + _SHEET_LEAST

    def __call__(self) -> int:
        if self.bad and not self.request.skip_bad:
            raise Refused([*self._bad_rows(), Problem("--skip-bad runs the others.")])
        if self.request.dry_run:
            return self._tell_plan()
        ledger = self.ledger
        ledger.open(self.request.resume, self.request.retry_failed)
        try:
            began = time.monotonic()
            interrupted = self._run()
            self.seconds = time.monotonic() - began
            self._write_sheet()
            return self._report(interrupted)
        finally:
            ledger.close()

    def _run(self) -> bool:
        """Whether it was interrupted."""
        ledger, request = self.ledger, self.request
        ledger.record([_refused(bad, self.plan) for bad in self.bad.values() if not ledger.states[bad.row]])
        missing = list(ledger.missing(set(self.bad)))[: request.limit]
        if not missing:
            return False
        crew = self._crew(missing)
        with Progress(len(missing), 0) as progress:
            try:
                for entries in crew.ended():
                    self._take(entries, progress)
                    if self.stopped:
                        break
            except KeyboardInterrupt:
                with contextlib.suppress(KeyboardInterrupt):  # asked a second time: at once
                    for entries in crew.cancel(patience=5):
                        self._take(entries, progress)
                return True
            finally:
                crew.close()
        return False

    def _take(self, entries: Sequence[Entry], progress: Progress) -> None:
        kept = [entry for entry in entries if not any(reason in entry.error for reason in _NO_ROOM)]
        if len(kept) < len(entries):
            self.stopped = next(entry.error for entry in entries if entry not in kept)
        try:
            self.ledger.record(kept)
        except (OSError, Refused) as error:
            self.stopped = f"What had ended could not be written down: {error}"
            kept = []
        self.made += len(kept)
        progress.ended(len(kept), sum(entry.status == "failed" for entry in kept))
        self._write_sheet(now=False)

    def _crew(self, missing: Sequence[int]) -> Crew:
        setups, start = self._setups(len(missing)), LocalWorker
        if self.request.engine == "ray":
            from . import ray_workers

            one = next(iter(setups.values()))
            setups, start = ray_workers.setups(one, self.request.address, self.request.workers), ray_workers.RayWorker
        return Crew(setups, iter(missing), len(missing), self.plan.settings, self.ledger.journal.died, start)

    def _setups(self, rows: int) -> dict[str, Setup]:
        """One for each worker; those of the CPU share its cores."""
        request = self.request
        names = [(machine, number) for machine in request.machines for number in range(request.workers)]
        names = names[: max(1, rows)]
        one = Setup(
            document=self.workflow.document,
            goals=tuple(request.goals) or None,
            modules=self.modules,
            package=self.package,
            reading=self.files.reading,
            out=self.out,
            threads=max(1, (os.cpu_count() or 1) // len(names)) if len(names) > 1 else None,
            at_once=request.at_once,
            seeds=tuple(_seeds(self.workflow, self.catalog)),
        )
        return {
            f"worker {place + 1} ({machine.device if machine else 'any'})": replace(one, machine=machine)
            for place, (machine, _) in enumerate(names)
        }

    # ------------------------------------------------------------ what is told

    def _bad_rows(self) -> list[Problem]:
        shown = [Problem(f"Row {bad.row}: {' '.join(bad.sentences)}") for bad in islice(self.bad.values(), _SHOWN)]
        more = len(self.bad) - len(shown)
        return [*shown, Problem(f"{more} more rows are bad.")] if more else shown

    def _tell_plan(self) -> int:
        shard, count = self.ledger.shard, self.plan.count
        numbers = list(islice((row for row in range(count) if shard.has(row)), self.request.limit or _SHOWN))
        rows = {number: self.plan.settings(number) for number in numbers[:_SHOWN]}
        if self.request.as_json:
            show.document({"ok": not self.bad, "rows": count, "bad": list(self.bad), "first": rows})
            return 0
        show.line(f"{show.counted(count, 'row')}, of which {len(self.bad)} are bad; nothing was run.")
        for number, settings in rows.items():
            show.line(f"  row {number}: " + ", ".join(f"{key}={value}" for key, value in settings.items()))
        if count > len(rows):
            show.line("  …")
        for problem in self._bad_rows():
            show.line(f"  {problem.sentence}", style="yellow")
        return 0

    def _report(self, interrupted: bool) -> int:
        ledger = self.ledger
        done, failed = ledger.count(DONE), ledger.count(FAILED)
        mine = len(range(ledger.shard.index - 1, self.plan.count, ledger.shard.count))
        missing = mine - done - failed
        code = 130 if interrupted else 1 if failed or self.stopped else 0
        if self.request.as_json:
            show.document(
                {
                    "ok": code == 0,
                    "rows": mine,
                    "done": done,
                    "failed": failed,
                    "missing": missing,
                    "interrupted": interrupted,
                    "stopped": self.stopped,
                    "seconds": self.seconds,
                    "rows_per_second": self.made / self.seconds if self.seconds else 0.0,
                    "results": str(ledger.results_path),
                    "sheet": str(self._sheet_path),
                }
            )
            return code
        for notice in ledger.notices:
            show.line(notice, style="yellow", error=True)
        pace = f", {self.made / self.seconds:.2f} rows/s" if self.made and self.seconds else ""
        show.line(
            f"{done} of {show.counted(mine, 'row')} done, {failed} failed; {self.seconds:.1f} s{pace}", style="bold"
        )
        show.line(f"results {ledger.results_path}\nsheet   {self._sheet_path}")
        if self.stopped:
            show.line(f"The batch stopped: {self.stopped}", style="red", error=True)
        if missing:
            show.line(f"{show.counted(missing, 'row')} missing: --resume makes them.", style="yellow")
        return code

    @property
    def _sheet_path(self) -> Path:
        return self.out / self.ledger.shard.name("sheet", ".html")

    def _write_sheet(self, now: bool = True) -> None:
        """The sheet of what there is; unless `now`, only where that takes little time, and little of it all."""
        began, ledger = time.monotonic(), self.ledger
        ended = ledger.count(DONE) + ledger.count(FAILED) if now or began > self._sheet_due else 0
        if not now and not 0 < ended <= sheet.ROWS_A_PAGE:
            return
        with contextlib.suppress(OSError):  # a full disk: it is made again when the batch is resumed
            sheet.write(self._sheet_path, self.workflow.name or self.path.stem, ledger.journal.lines(), ended)
        ended_at = time.monotonic()
        self._sheet_due = ended_at + _SHEET_LEAST + _SHEET_REST * (ended_at - began)


def _refused(bad: BadRow, plan: Plan) -> Entry:
    sentences = " ".join(bad.sentences)
    return Entry(bad.row, "failed", plan.settings(bad.row), error=sentences, tries=0, ended=time.time())


def _seeds(workflow: Workflow, catalog: Catalog) -> Iterator[str]:
    """The settings of `workflow` that are seeds, by `node.setting`."""
    for id_, entry in workflow.nodes.items():
        with contextlib.suppress(KeyError, NodeUnavailable):
            for name, setting in catalog[entry.type].settings.items():
                if setting.schema.get("format") == "seed":
                    yield f"{id_}.{name}"


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """A polite request to end (SIGTERM), as of a cluster that takes its machine back, is heard like Ctrl+C."""

    def interrupt(number: int, frame: Any) -> NoReturn:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not the main thread, which alone hears signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
