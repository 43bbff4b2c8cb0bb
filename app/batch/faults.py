"""What is wrong with rows, found before the first of them runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ...graph.catalog import Catalog
from ...graph.check import Checked, bind
from ...graph.document import WorkflowError
from ...graph.files import Files
from ...graph.problems import Problem
from ...graph.settings import take
from ...graph.workflow import Workflow
from .plan import Plan


@dataclass(frozen=True)
class BadRow:
    """A row that cannot run, and why not."""

    row: int
    sentences: tuple[str, ...]


def shared(workflow: Workflow, plan: Plan, catalog: Catalog, files: Files, goals: Any) -> tuple[Checked, list[Problem]]:
    """The workflow bound with the first row's settings, and what is wrong with it for every row."""
    try:
        checked = bind(workflow.with_settings(plan.settings(0)), catalog, files, goals)
    except WorkflowError as error:
        return bind(workflow, catalog, files, goals), list(error.problems)
    problems = []
    for problem in checked.problems:
        bound = checked.nodes.get(problem.node or "")
        known = bound is not None and problem.setting in bound.declaration.settings
        if problem.needed and not (known and f"{problem.node}.{problem.setting}" in plan.keys):
            problems.append(problem)
    return checked, problems


def bad_rows(plan: Plan, checked: Checked, files: Files) -> Iterator[BadRow]:
    """The rows whose settings do not fit. Values that come again are looked at once."""

    def sentences(key: str, value: Any) -> tuple[str, ...]:
        id_, _, name = key.rpartition(".")
        bound = checked.nodes.get(id_)
        if bound is None or id_ not in checked.order:
            return ()
        return tuple(str(problem) for problem in take(id_, bound.declaration.settings[name], value, files, {}))

    @lru_cache(maxsize=65_536)
    def remembered(key: str, value: Any, kind: type) -> tuple[str, ...]:  # to a setting, 1, 1.0 and True differ
        return sentences(key, value)

    for number in range(plan.count):
        found: list[str] = []
        for key, value in plan.settings(number).items():
            plain = not isinstance(value, list | dict)
            found += remembered(key, value, type(value)) if plain else sentences(key, value)
        if found:
            yield BadRow(number, tuple(found))
