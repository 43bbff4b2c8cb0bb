"""Run a workflow: what its goals need, each node once, and nothing that was kept from before."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from .catalog import Catalog
from .check import bind
from .events import Tell
from .files import Files
from .problems import Refused
from .store import Store
from .walk import Explain, RunResult, Walk
from .workflow import Workflow


class CheckFailed(Refused):
    """The workflow cannot run; `problems` says everything that is in the way."""


def run(
    workflow: Workflow,
    catalog: Catalog,
    *,
    goals: Iterable[str] | None = None,
    store: Store | None = None,
    tell: Tell | None = None,
    files: Files | None = None,
    cancel: threading.Event | None = None,
    salt: str = "",
    explain: Explain | None = None,
) -> RunResult:
    """Run what `goals` (node ids) need; without any, all effects, or if there is none, the nodes nobody takes from.

    `store` gives and keeps results; `tell` hears every event, in this thread; `files` says what may be read and
    written; `cancel` stops the run at the next node or step, as Ctrl+C does; `salt` is what results depend on besides
    the workflow (device, precision); `explain` words errors of libraries. Raises `CheckFailed` before anything runs.

    A node that fails stops what depends on it and nothing else: look at `ok` and `outcomes`.
    """
    checked = bind(workflow, catalog, files, goals)
    if stopping := [problem for problem in checked.problems if problem.needed]:
        raise CheckFailed(stopping)
    walk = Walk(workflow, checked, store, tell, files, cancel, salt, explain).calls()
    try:
        call = next(walk)
        while True:
            try:
                made = call()
            except BaseException as error:  # the run's own, who knows what it stops
                call = walk.throw(error)
            else:
                call = walk.send(made)
    except StopIteration as end:
        return end.value
