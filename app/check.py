"""`latentloom check`: everything that is wrong with a workflow, without running or loading any of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..graph.catalog import Catalog
from ..graph.check import check
from ..nodes.catalog import NODES
from . import assignments, folders, opening, show


def check_file(
    name: str, settings: Sequence[str], inputs: Sequence[Path], models: Sequence[Path], as_json: bool
) -> int:
    """Print what is wrong; 0 when the workflow can run, else 2. Raises `WorkflowError` for what is no workflow."""
    path = opening.find(name)
    catalog = Catalog(NODES, "latentloom.nodes")
    workflow, problems = assignments.assign(opening.read(path), settings, catalog)
    problems += check(workflow, catalog, folders.files(path, inputs, models, Path("out")))
    problems += folders.problems(inputs, models)
    stopping = [problem for problem in problems if problem.needed]
    warnings = [problem for problem in problems if not problem.needed]
    if as_json:
        changes = list(workflow.changes)
        show.document({"file": str(path), "ok": not stopping, "problems": show.plain(problems), "upgrades": changes})
        return 2 if stopping else 0
    for sentence in workflow.changes:
        show.line(f"Upgraded: {sentence}")
    if warnings:
        show.problems("What no result depends on, and is passed over in a run:", warnings, style="yellow")
    if stopping:
        show.problems(f"{path} cannot run: {show.counted(len(stopping), 'problem')}.", stopping)
        return 2
    show.line(f"{path} can run: {show.counted(len(workflow.nodes), 'node')}, nothing wrong with them.", style="green")
    return 0
