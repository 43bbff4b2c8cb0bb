"""The server's queue of jobs: one worker process for each device, and everybody told of what becomes of each job."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ...graph.catalog import Catalog
from ...graph.workflow import Workflow
from ...nodes.catalog import NODES
from ...nodes.models.runtime import RuntimeSettings
from .places import Places
from .recorder import Recorder
from .wire import Job, JobDetail, Message

Listener = Callable[[Message], None]


@dataclass(frozen=True)
class Submission:
    """What is asked for. `goals` None is all effects; `front` goes before what waits; `device` None is any."""

    workflow: Workflow
    goals: tuple[str, ...] | None = None
    file: str | None = None
    client: str | None = None
    front: bool = False
    device: str | None = None


class Queue:
    """Jobs in order, each run by the first worker that is free. Every method may be called from any thread.

    `machine` says how models run; None is for nodes that use none. `modules` below `package` are the nodes there are.
    """

    def __init__(
        self,
        places: Places,
        devices: Sequence[str],
        machine: RuntimeSettings | None,
        *,
        recorder: Recorder | None = None,
        modules: Mapping[str, str] = NODES,
        package: str = "latentloom.nodes",
    ) -> None:
        self.places, self.devices, self.machine, self.recorder = places, tuple(devices), machine, recorder
        self.catalog = Catalog(modules, package)

    def start(self) -> None:
        """Start the workers, so that the first job finds them ready."""
        raise NotImplementedError

    def close(self) -> None:
        """Cancel what runs and end the workers. What waited never runs."""
        raise NotImplementedError

    @property
    def paused(self) -> bool:
        """Whether what waits goes on waiting; what runs is not touched."""
        raise NotImplementedError

    def submit(self, submission: Submission) -> Job:
        """Raises `CheckFailed` with everything that is in the way."""
        raise NotImplementedError

    def cancel(self, id_: str) -> Job:
        """A job that waits never starts, one that runs stops within a step, one that ended stays as it is. `KeyError`
        for one that is not known."""
        raise NotImplementedError

    def move(self, id_: str, before: str | None) -> list[Job]:
        """Put a job that waits before another, or last. Raises `KeyError`, and `Refused` where one does not wait."""
        raise NotImplementedError

    def pause(self, paused: bool) -> None:
        """Hold back what waits, or let it go on."""
        raise NotImplementedError

    def clear(self) -> None:
        """Cancel everything that waits."""
        raise NotImplementedError

    def jobs(self) -> list[Job]:
        """Those that run, those that wait in order, and the last 100 that ended, newest first."""
        raise NotImplementedError

    def detail(self, id_: str) -> JobDetail:
        """Raises `KeyError` for a job that is not known, or ended so long ago that only the history has it."""
        raise NotImplementedError

    def wait(self, id_: str, seconds: float) -> Job:
        """The job once it ended, or as it is after `seconds`. Raises `KeyError`."""
        raise NotImplementedError

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` every message, in the queue's own thread: it must be quick. Gives what ends it.

        Messages are whole states, so a listener may drop all but the latest of each node and job (`Mailbox` does).
        """
        raise NotImplementedError
