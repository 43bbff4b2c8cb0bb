"""`latentloom run`: run a workflow, show how far it is, and tell what came of it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from ..graph import events
from ..graph.atomic import sweep
from ..graph.catalog import Catalog
from ..graph.check import check
from ..graph.events import Event
from ..graph.node import NodeError
from ..graph.problems import Problem
from ..graph.run import CheckFailed, RunResult, run
from ..graph.store import DiskStore, Store
from ..graph.workflow import Workflow
from ..nodes.catalog import NODES
from ..nodes.codec import TensorCodec
from ..nodes.models import runtime
from ..nodes.models.runtime import RuntimeSettings
from . import assignments, folders, opening, show
from .bars import Bars
from .memory import explain

CACHE_BYTES = 8 << 30
"""What `--cache` may fill."""

_STYLES = {
    "done": "green",
    "reused": "cyan",
    "failed": "red",
    "skipped": "yellow",
    "cancelled": "yellow",
    "muted": "dim",
}


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line."""

    file: str
    settings: Sequence[str]
    out: Path
    goals: Sequence[str]
    inputs: Sequence[Path]
    models: Sequence[Path]
    cache: Path | None
    as_json: bool
    traceback: bool
    machine: RuntimeSettings


def run_file(request: Request) -> int:
    """Run and report; 0 when all is well, 1 when a node failed, 130 when interrupted. Raises `Refused` before a run."""
    path = opening.find(request.file)
    catalog = Catalog(NODES, "latentloom.nodes")
    workflow, problems = assignments.assign(opening.read(path), request.settings, catalog)
    files = folders.files(path, request.inputs, request.models, request.out)
    goals = request.goals or None
    problems += check(workflow, catalog, files, goals)
    problems += folders.problems(request.inputs, request.models, request.out)
    _take_into_use(request.machine, problems)
    if any(problem.needed for problem in problems):
        raise CheckFailed(problem for problem in problems if problem.needed)
    if request.out.is_dir():
        sweep(request.out)
    failures: list[events.Failed] = []
    with Bars() as bars, redirect_stdout(sys.stderr):  # what libraries print is no part of the report

        def tell(event: Event) -> None:
            bars.tell(event)
            if isinstance(event, events.Failed):
                failures.append(event)

        result = run(
            workflow,
            catalog,
            goals=goals,
            store=_store(request.cache),
            tell=tell,
            files=files,
            salt=runtime.salt(request.machine),
            explain=explain,
        )
    if request.as_json:
        show.document(_document(path, workflow, result))
    else:
        _print(workflow, result)
    _print_faults(failures, request.traceback)
    return 130 if result.cancelled else 0 if result.ok else 1


def _take_into_use(machine: RuntimeSettings, problems: list[Problem]) -> None:
    """Add what this machine cannot do to `problems`."""
    try:
        runtime.place(machine)
    except NodeError as error:
        problems.append(Problem(str(error)))
    runtime.use_settings(machine)


def _store(folder: Path | None) -> Store | None:
    if folder is None:
        return None
    try:
        return DiskStore(folder, TensorCodec(), CACHE_BYTES)
    except OSError as error:
        raise CheckFailed([Problem(f"--cache {folder} cannot be used: {error.strerror}.")]) from None


def _written(result: RunResult) -> list[str]:
    return [file for outcome in result.outcomes.values() for file in outcome.notes.get("files", ())]


def _document(path: Path, workflow: Workflow, result: RunResult) -> dict[str, Any]:
    return {
        "file": str(path),
        "ok": result.ok,
        "cancelled": result.cancelled,
        "seconds": result.seconds,
        "files": _written(result),
        "nodes": {
            id_: {
                "type": workflow.nodes[id_].type,
                "status": outcome.status,
                "seconds": outcome.seconds,
                "error": outcome.error,
                "notes": outcome.notes,
            }
            for id_, outcome in result.outcomes.items()
        },
        "warnings": show.plain(result.warnings),
        "upgrades": list(workflow.changes),
    }


def _print(workflow: Workflow, result: RunResult) -> None:
    for sentence in workflow.changes:
        show.line(f"Upgraded: {sentence}")
    if result.warnings:
        show.problems("Passed over, as no result depends on it:", result.warnings, style="yellow")
    machine = runtime.place(runtime.settings).facts()
    table = Table("node", "", "seconds", "", box=None, padding=(0, 2, 0, 0))
    table.columns[2].justify = "right"
    for id_, outcome in result.outcomes.items():
        seconds = f"{outcome.seconds:.2f}" if outcome.seconds else ""
        facts = {key: value for key, value in outcome.notes.items() if key not in machine}
        table.add_row(id_, Text(outcome.status, style=_STYLES[outcome.status]), seconds, _facts(facts))
    show.console().print(table)
    counts = Counter(outcome.status for outcome in result.outcomes.values())
    counted = ", ".join(f"{counts[status]} {status}" for status in _STYLES if counts[status])
    show.line(f"\n{show.counted(len(result.outcomes), 'node')}: {counted}; {result.seconds:.1f} s")
    if any(machine.keys() & outcome.notes.keys() for outcome in result.outcomes.values()):
        show.line(_facts(machine), style="dim")
    for file in _written(result):
        show.line(f"saved {file}", style="bold")
    for id_, outcome in result.outcomes.items():
        if outcome.status == "failed":
            show.line(f"{id_} failed: {outcome.error}", style="red", error=True)


def _facts(notes: Mapping[str, Any]) -> str:
    """The plain ones of what was noted, on one line, without what was not chosen; `--json` tells the rest."""
    shown = []
    for key, value in notes.items():
        if isinstance(value, str | int | float) and value is not False and value not in ("", "auto", "none"):
            name = key.replace("_", " ")
            shown.append(
                name if value is True else f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
            )
    return ", ".join(shown)


def _print_faults(failures: Sequence[events.Failed], whole: bool) -> None:
    """Errors no node foresaw: where they arose, or how to learn it."""
    faults = [failure for failure in failures if failure.traceback]
    for failure in faults if whole else ():
        show.line(f"\n{failure.node}:\n{failure.traceback}", error=True)
    if faults and not whole:
        show.line("An error was unexpected; --traceback shows where it arose.", style="dim", error=True)
