"""The server's queue of jobs: one worker process for each device, and everybody told of what becomes of each job."""

from __future__ import annotations

import atexit
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from time import monotonic, time
from typing import Any

from ...graph.catalog import Catalog
from ...graph.check import bind
from ...graph.problems import Problem, Refused, did_you_mean, listed, quoted
from ...graph.run import CheckFailed
from ...graph.store import versions
from ...nodes.catalog import NODES
from ...nodes.models.runtime import RuntimeSettings
from .announcer import Announcer, Listener
from .archive import Archive
from .lane import Lane
from .places import Places
from .record import Record
from .recorder import Recorder, Recording
from .reports import JobEnded, Report, Setup, Task
from .submission import Submission
from .wire import ENDED, Job, JobDetail, JobMessage, JobStatus, NodeMessage, QueueMessage

MOST_WAITING = 10_000


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
        self.places, self.devices, self.machine = places, tuple(devices), machine
        self.catalog = Catalog(modules, package)
        self._lock = threading.RLock()
        self._lanes = [
            Lane(device, Setup(places, modules, package, machine and replace(machine, device=device)), self, self._lock)
            for device in self.devices
        ]
        self._waiting: list[Record] = []
        self._archive = Archive()
        self._paused = self._closed = False
        self._one_ended = threading.Condition(self._lock)
        self._announcer = Announcer(self._message)
        self._recording = Recording(recorder) if recorder else None
        self._versions = versions()

    def start(self) -> None:
        """Start the workers, so that the first job finds them ready."""
        self._announcer.start()
        atexit.register(self.close)  # before Python waits for processes that wait for us
        with self._lock:
            for lane in self._lanes:
                lane.start()

    def close(self) -> None:
        """Cancel what runs and what waits, and end the workers."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self.clear()
            workers = [worker for lane in self._lanes if (worker := lane.stop())]
        for worker in workers:
            worker.join()
        self._announcer.close()
        if self._recording:
            self._recording.close()
        atexit.unregister(self.close)

    # ---------------------------------------------------------------- what is asked for

    @property
    def paused(self) -> bool:
        """Whether what waits goes on waiting; what runs is not touched."""
        return self._paused

    def submit(self, submission: Submission) -> Job:
        """Raises `CheckFailed` with everything that is in the way."""
        workflow, goals = submission.workflow, submission.goals
        checked = bind(workflow, self.catalog, self.places.files, goals)
        problems = [problem for problem in checked.problems if problem.needed]
        if submission.device not in (None, *self.devices):
            hint = did_you_mean(submission.device, self.devices)
            has = listed(map(quoted, self.devices))
            problems.append(Problem(f"There is no device {quoted(submission.device)} here; there is {has}.{hint}"))
        job = Job(
            id=secrets.token_hex(8),
            name=workflow.name or PurePosixPath(submission.file or "Untitled").stem,
            file=submission.file,
            client=submission.client,
            device=submission.device or (self.devices[0] if len(self.devices) == 1 else ""),
            submitted=time(),
        )
        with self._lock:
            if len(self._waiting) >= MOST_WAITING:
                problems.append(Problem(f"{MOST_WAITING} jobs wait already; let some of them run first."))
            if self._closed:
                problems.append(Problem("The server is being stopped and takes no more jobs."))
            if problems:
                raise CheckFailed(problems)
            record = Record(job, workflow.document, goals, checked)
            self._waiting.insert(0 if submission.front else len(self._waiting), record)
            if self._recording:
                self._recording.submitted(record.detail)
            self._announcer.queue_changed()
            self._schedule()
            return record.job

    def cancel(self, id_: str) -> Job:
        """A job that waits never starts, one that runs stops within a step, one that ended stays as it is.

        One that has not stopped after some seconds, as its node takes no steps, is ended with its worker when it is
        cancelled again. Raises `KeyError` for a job that is not known.
        """
        with self._lock:
            for lane in self._lanes:
                if lane.running and lane.running.job.id == id_:
                    lane.cancel()
                    return lane.running.job
            for record in self._waiting:
                if record.job.id == id_:
                    self._waiting.remove(record)
                    self._end(record, "cancelled")
            return self._job(id_)

    def move(self, id_: str, before: str | None) -> list[Job]:
        """Put a job that waits before another, or last. Raises `KeyError`, and `Refused` where one does not wait."""
        with self._lock:
            record = self._waits(id_)
            target = None if before is None else self._waits(before)
            if target is not record:
                self._waiting.remove(record)
                self._waiting.insert(len(self._waiting) if target is None else self._waiting.index(target), record)
                self._announcer.queue_changed()
            return self.jobs()

    def pause(self, paused: bool) -> None:
        """Hold back what waits, or let it go on."""
        with self._lock:
            self._paused = paused
            self._announcer.queue_changed()
            self._schedule()

    def clear(self) -> None:
        """Cancel everything that waits."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
            for record in waiting:
                self._end(record, "cancelled")

    # ---------------------------------------------------------------- what there is

    def jobs(self) -> list[Job]:
        """Those that run, those that wait in order, and the last 100 that ended, newest first."""
        with self._lock:
            return [record.job for record in self._open()] + self._archive.newest_first()

    def detail(self, id_: str) -> JobDetail:
        """Raises `KeyError` for a job that is not known, or ended so long ago that only the history has it."""
        with self._lock:
            for record in self._open():
                if record.job.id == id_:
                    return record.detail
            return self._archive.detail(id_)

    def wait(self, id_: str, seconds: float) -> Job:
        """The job once it ended, or as it is after `seconds`. Raises `KeyError`."""
        with self._one_ended:
            self._one_ended.wait_for(lambda: self._job(id_).status in ENDED, seconds)
            return self._job(id_)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` every message, in the queue's own thread: it must be quick. Gives what ends it.

        Messages are whole states, so a listener may drop all but the latest of each node and job (`Mailbox` does).
        """
        return self._announcer.subscribe(listener)

    # ---------------------------------------------------------------- what the lanes tell

    def free(self) -> None:
        """A lane can take a job."""
        self._schedule()

    def heard(self, record: Record, report: Report) -> None:
        """The worker of a running job reports."""
        if isinstance(report, JobEnded):
            self._end(record, report.status, report.error, report.lock)
            return
        node, job_changed = record.hear(report, monotonic())
        if node is not None:
            self._tell_node(record, node)
        if job_changed:
            self._announcer.tell(JobMessage(job=record.job))

    def lost(self, lane: Lane, record: Record | None, sentence: str) -> None:
        """The worker of `lane` died while it ran `record`; without one, before it was ready for any."""
        if record is None:
            if self._closed or (record := self._next(lane)) is None:
                return
            self._waiting.remove(record)
            sentence += " It had not taken a job yet; what the server printed tells more."
        elif self._closed or lane.cancelling:
            self._end(record, "cancelled")
            return
        elif record.untouched and not record.given_back:  # it died before it read the task
            record.give_back()
            self._waiting.insert(0, record)
            self._announcer.tell(JobMessage(job=record.job))
            self._announcer.queue_changed()
            self._schedule()
            return
        running = [quoted(node) for node, state in record.nodes.items() if state.status == "running"]
        during = f" This was while {listed(running)} ran." if running else ""
        self._end(record, "failed", f"{sentence}{during} The next job gets a new worker.")

    # ---------------------------------------------------------------- inside

    def _open(self) -> list[Record]:
        return [lane.running for lane in self._lanes if lane.running] + self._waiting

    def _job(self, id_: str) -> Job:
        for record in self._open():
            if record.job.id == id_:
                return record.job
        return self._archive.job(id_)

    def _waits(self, id_: str) -> Record:
        for record in self._waiting:
            if record.job.id == id_:
                return record
        raise Refused([Problem(f"{quoted(self._job(id_).name)} does not wait any more, so it has no place in line.")])

    def _next(self, lane: Lane) -> Record | None:
        return next((record for record in self._waiting if record.job.device in ("", lane.device)), None)

    def _schedule(self) -> None:
        for lane in self._lanes:
            if self._paused or self._closed or lane.running or (record := self._next(lane)) is None:
                continue
            if lane.ready:
                self._waiting.remove(record)
                record.begin(lane.device, time())
                lane.run(record, Task(record.job.id, record.document, record.goals))
                self._announcer.tell(JobMessage(job=record.job))
                self._announcer.queue_changed()
            else:
                lane.start()

    def _end(self, record: Record, status: JobStatus, error: str = "", lock: Mapping[str, Any] | None = None) -> None:
        for node in record.end(status, error, time(), monotonic()):
            self._tell_node(record, node)
        detail = record.detail
        self._archive.put(detail)
        if self._recording:
            self._recording.ended(detail, lock or {**self._versions, "models": {}}, record.files)
        self._announcer.tell(JobMessage(job=record.job))
        self._announcer.queue_changed()
        self._one_ended.notify_all()
        self._schedule()

    def _tell_node(self, record: Record, node: str) -> None:
        self._announcer.tell(NodeMessage(job=record.job.id, node=node, state=record.nodes[node]))

    def _message(self) -> QueueMessage:
        with self._lock:
            return QueueMessage(paused=self._paused, jobs=self.jobs())
