"""Progress bars of a run, on the error output while a person looks at it."""

from __future__ import annotations

from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from ..graph import events
from ..graph.events import Event
from . import show

_ENDED = (events.Finished, events.Failed, events.Reused, events.Skipped, events.Cancelled)


class Bars:
    """One bar for the nodes of the run, one below it for the steps of the node at work. Silent where no person is."""

    def __init__(self) -> None:
        console = show.console(error=True)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._nodes: TaskID | None = None
        self._steps: dict[str, TaskID] = {}

    def tell(self, event: Event) -> None:
        """Hear an event of the run."""
        if isinstance(event, events.RunStarted):
            self._nodes = self._progress.add_task("nodes", total=len(event.nodes))
        elif isinstance(event, events.Started):
            self._steps[event.node] = self._progress.add_task(event.node, total=None)
        elif isinstance(event, events.Progressed):
            said = f"{event.node}: {event.label}" if event.label else event.node
            task = self._steps[event.node]
            self._progress.update(task, completed=event.done, total=event.total, description=said)
        elif isinstance(event, _ENDED):
            if event.node in self._steps:
                self._progress.remove_task(self._steps.pop(event.node))
            if self._nodes is not None:
                self._progress.advance(self._nodes)

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()
