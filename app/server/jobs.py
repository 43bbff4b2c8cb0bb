"""Submit workflows, see what becomes of them, and put them in order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query
from pydantic import BaseModel

from ..jobs.queue import Submission
from ..jobs.wire import Job, JobDetail, NodeState, Output
from ..workspace.models import Content, RunStatus
from ..workspace.workspace import Workspace
from .errors import MISSING
from .parts import ItsHub, ItsQueue, ItsWorkspace, Tab, no_job, workflow_of

LONGEST_WAIT = 300

router = APIRouter(prefix="/api", tags=["jobs"])


class Submitted(BaseModel):
    """A workflow to run. `goals` are the nodes to run to, all that save or show if not given; `file` is where it came
    from; `front` goes before what waits; `device` is one of the server's, or any."""

    workflow: Content
    goals: list[str] | None = None
    file: str | None = None
    client: str | None = None
    front: bool = False
    device: str | None = None


class Jobs(BaseModel):
    """Jobs that run, that wait in order, and that ended, newest first."""

    jobs: list[Job]


class QueueState(Jobs):
    paused: bool


class QueueChange(BaseModel):
    """`paused` holds back what waits; `clear` cancels all that waits."""

    paused: bool | None = None
    clear: bool = False


class Move(BaseModel):
    """The job to go before; null is last."""

    before: str | None


class Written(BaseModel):
    """A file a node wrote; `name` is its path below the output folder."""

    name: str
    url: str


class Result(BaseModel):
    """What came of a job: what each node shows, and the files that were written."""

    status: RunStatus
    error: str
    outputs: dict[str, list[Output]]
    files: list[Written]


@router.get("/jobs", summary="The queue")
def jobs(queue: ItsQueue) -> QueueState:
    return QueueState(paused=queue.paused, jobs=queue.jobs())


@router.post("/jobs", summary="Run a workflow", status_code=201)
def submit(body: Submitted, queue: ItsQueue, tab: Tab = None) -> Job:
    """The job waits for its turn; 422 tells everything that keeps it from running."""
    goals = tuple(body.goals) if body.goals is not None else None
    workflow = workflow_of(body.workflow)
    return queue.submit(Submission(workflow, goals, body.file, body.client or tab, body.front, body.device))


@router.get("/jobs/{id}", summary="A job and each of its nodes", responses=MISSING)
def job(id: str, queue: ItsQueue) -> JobDetail:  # noqa: A002
    try:
        return queue.detail(id)
    except KeyError:
        raise no_job(id) from None


@router.delete("/jobs/{id}", summary="Cancel a job", responses=MISSING)
def cancel(id: str, queue: ItsQueue) -> Job:  # noqa: A002
    """One that waits never starts, one that runs stops within a step, one that ended stays as it is."""
    try:
        return queue.cancel(id)
    except KeyError:
        raise no_job(id) from None


@router.post("/jobs/{id}/move", summary="Change the order", responses=MISSING)
def move(id: str, body: Move, queue: ItsQueue) -> Jobs:  # noqa: A002
    try:
        return Jobs(jobs=queue.move(id, body.before))
    except KeyError as missing:
        raise no_job(str(missing.args[0]) if missing.args else id) from None


@router.post("/queue", summary="Pause, go on, or clear what waits")
def change(body: QueueChange, queue: ItsQueue) -> QueueState:
    if body.paused is not None:
        queue.pause(body.paused)
    if body.clear:
        queue.clear()
    return QueueState(paused=queue.paused, jobs=queue.jobs())


@router.get("/jobs/{id}/result", summary="What came of a job", responses=MISSING)
async def result(
    id: str,  # noqa: A002
    hub: ItsHub,
    workspace: ItsWorkspace,
    wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT, description="Seconds to wait for its end.")] = 0,
) -> Result:
    """With `wait` the answer is held back until the job ended, or so many seconds passed."""
    try:
        detail = await hub.ended(id, wait)
    except KeyError:
        return await asyncio.to_thread(_of_history, workspace, id)
    files = [file for state in detail.nodes.values() for file in state.facts.get("files", ())]
    return _result(detail.status, detail.error, detail.nodes, files)


def _of_history(workspace: Workspace, id_: str) -> Result:
    """The result of a job the queue has forgotten. Raises `Missing`."""
    kept = workspace.history.get(id_)
    nodes = {node: NodeState.model_validate(state) for node, state in kept.nodes.items()}
    return _result(kept.run.status, kept.run.error, nodes, kept.files)


def _result(status: RunStatus, error: str, nodes: Mapping[str, NodeState], files: Iterable[str]) -> Result:
    return Result(
        status=status,
        error=error,
        outputs={node: list(state.outputs) for node, state in nodes.items() if state.outputs},
        files=[Written(name=name, url=f"/api/outputs/{quote(name)}") for name in files],
    )
