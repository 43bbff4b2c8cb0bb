"""A server to ask in this process, with a queue that runs nothing: tests say what becomes of its jobs."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from arithmetic import CATALOG
from fastapi import FastAPI
from starlette.testclient import TestClient

from latentloom.app.jobs.places import Places
from latentloom.app.jobs.queue import Queue, Submission
from latentloom.app.jobs.wire import Job, JobDetail, JobMessage, Message, NodeMessage, NodeState, QueueMessage
from latentloom.app.server.access import Access
from latentloom.app.server.application import create_app
from latentloom.app.workspace.workspace import Workspace
from latentloom.graph.check import bind
from latentloom.graph.problems import Problem, Refused
from latentloom.graph.run import CheckFailed

HOST = "127.0.0.1:7801"

WORKFLOW = {
    "format": 1,
    "name": "Count",
    "nodes": {"one": {"type": "number", "settings": {"value": 1}}, "shown": {"type": "show"}},
    "wires": [["one.number", "shown.text"]],
}


class QuietQueue(Queue):
    """Takes jobs, and moves them only as it is told."""

    def __init__(self, places: Places) -> None:
        super().__init__(places, ("cpu",), None)
        self.catalog = CATALOG
        self.known: dict[str, JobDetail] = {}
        self.listeners: list[Callable[[Message], None]] = []
        self.held = False
        self._numbers = itertools.count(1)

    @property
    def paused(self) -> bool:
        return self.held

    def submit(self, submission: Submission) -> Job:
        bound = bind(submission.workflow, self.catalog, self.places.files, submission.goals)
        if problems := [problem for problem in bound.problems if problem.needed]:
            raise CheckFailed(problems)
        id_ = f"job{next(self._numbers)}"
        job = JobDetail(
            id=id_,
            name=submission.workflow.name,
            file=submission.file,
            client=submission.client,
            device=submission.device or "",
            submitted=1000.0 + len(self.known),
            workflow=dict(submission.workflow.document),
            goals=submission.goals,
            nodes={node: NodeState() for node in bound.order},
        )
        known = [(id_, job), *self.known.items()] if submission.front else [*self.known.items(), (id_, job)]
        self.known = dict(known)
        self.tell_queue()
        return job

    def set(self, id_: str, **changes: Any) -> None:
        """Change a job and tell of it."""
        self.known[id_] = self.known[id_].model_copy(update=changes)
        self.tell(JobMessage(job=plain(self.known[id_])))

    def set_node(self, id_: str, node: str, **state: Any) -> None:
        nodes = {**self.known[id_].nodes, node: NodeState(**state)}
        self.known[id_] = self.known[id_].model_copy(update={"nodes": nodes})
        self.tell(NodeMessage(job=id_, node=node, state=nodes[node]))

    def cancel(self, id_: str) -> Job:
        self.known[id_] = self.known[id_].model_copy(update={"status": "cancelled"})
        self.tell_queue()
        return self.known[id_]

    def move(self, id_: str, before: str | None) -> list[Job]:
        job = self.known[id_]
        if before is not None and before not in self.known:
            raise KeyError(before)
        if job.status != "queued":
            raise Refused([Problem("It does not wait.")])
        rest = [each for each in self.known if each != id_]
        rest.insert(rest.index(before) if before else len(rest), id_)
        self.known = {each: self.known[each] for each in rest}
        return self.jobs()

    def pause(self, paused: bool) -> None:
        self.held = paused
        self.tell_queue()

    def clear(self) -> None:
        for id_ in [id_ for id_, job in self.known.items() if job.status == "queued"]:
            self.cancel(id_)

    def jobs(self) -> list[Job]:
        return [plain(job) for job in self.known.values()]

    def detail(self, id_: str) -> JobDetail:
        return self.known[id_]

    def subscribe(self, listener: Callable[[Message], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def tell(self, message: Message) -> None:
        for listener in self.listeners:
            listener(message)

    def tell_queue(self) -> None:
        self.tell(QueueMessage(paused=self.held, jobs=self.jobs()))


def plain(job: JobDetail) -> Job:
    """The job as it stands in a list."""
    return Job(**{name: getattr(job, name) for name in Job.model_fields})


def app_of(folder: Path, access: Access, page: bool) -> FastAPI:
    workspace = Workspace(folder)
    return create_app(workspace, QuietQueue(workspace.places), access=access, page=page)


def client_of(folder: Path, access: Access | None = None, page: bool = False, **options: Any) -> TestClient:
    """Asks a server whose workspace is `folder`; use it as a context."""
    return TestClient(app_of(folder, access or Access(), page), base_url=f"http://{HOST}", **options)


def submit(server: TestClient, **more: Any) -> str:
    """The id of a new job."""
    response = server.post("/api/jobs", json={"workflow": WORKFLOW, **more}, headers={"x-client": "tab"})
    assert response.status_code == 201, response.text
    return response.json()["id"]


@contextmanager
def running(folder: Path, access: Access | None = None) -> Iterator[tuple[str, FastAPI]]:
    """The same on a real socket, in a thread: its address and the application."""
    app = app_of(folder, access or Access(), page=False)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="websockets-sansio"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=[[listening]])
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", app
        finally:
            server.should_exit = True
            thread.join()
