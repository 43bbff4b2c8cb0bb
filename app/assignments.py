"""Settings given on the command line as `node.setting=value`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ..graph.catalog import Catalog, NodeUnavailable
from ..graph.document import WorkflowError
from ..graph.problems import Problem, quoted
from ..graph.workflow import Workflow


def assign(workflow: Workflow, assignments: Iterable[str], catalog: Catalog) -> tuple[Workflow, list[Problem]]:
    """`workflow` with the settings `assignments` name, and what is wrong with those that name none.

    A value is taken as text where the setting takes text, and otherwise as JSON: `noise.seed=7`, `save.name=cat`.
    """
    problems = []
    for assignment in assignments:
        key, sign, text = (part.strip() for part in assignment.partition("="))
        if not sign:
            problems.append(Problem(f"--set {quoted(assignment)}: write it node.setting=value."))
            continue
        try:
            workflow = workflow.with_settings({key: typed(workflow, key, text, catalog)})
        except WorkflowError as error:
            problems += [Problem(f"--set {quoted(assignment)}: {problem}") for problem in error.problems]
    return workflow, problems


def typed(workflow: Workflow, key: str, text: str, catalog: Catalog) -> Any:
    """`text` as the setting takes it; where that cannot be told, as it is, so that the check says what is wrong."""
    try:
        read = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text
    node, _, name = key.rpartition(".")
    try:
        setting = catalog[workflow.nodes[node].type].settings[name]
    except (KeyError, NodeUnavailable):
        return read
    try:
        setting.validate(text)
    except ValueError:
        return read
    return text


def _refuse(constant: str) -> Any:
    raise ValueError(constant)  # NaN and Infinity are no JSON
