"""What routes work with, as FastAPI hands it to them."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import Depends, Header
from starlette.requests import HTTPConnection

from ...graph.problems import Problem
from ...graph.workflow import Workflow
from ...nodes.upgrades import UPGRADES
from ..jobs.queue import Queue
from ..jobs.wire import Job
from ..workspace.refusals import Missing
from ..workspace.workspace import Workspace
from .access import Access
from .catalog import CatalogDescription
from .hub import Hub


async def _workspace(connection: HTTPConnection) -> Workspace:
    return connection.app.state.workspace


async def _queue(connection: HTTPConnection) -> Queue:
    return connection.app.state.queue


async def _hub(connection: HTTPConnection) -> Hub:
    return connection.app.state.hub


async def _access(connection: HTTPConnection) -> Access:
    return connection.app.state.access


def _catalog(connection: HTTPConnection) -> CatalogDescription:
    return connection.app.state.catalog()


ItsWorkspace = Annotated[Workspace, Depends(_workspace)]
ItsQueue = Annotated[Queue, Depends(_queue)]
ItsHub = Annotated[Hub, Depends(_hub)]
ItsCatalog = Annotated[CatalogDescription, Depends(_catalog)]
ItsAccess = Annotated[Access, Depends(_access)]

Tab = Annotated[str | None, Header(alias="X-Client", max_length=200, description="The tab that asks.")]


def workflow_of(content: dict[str, Any]) -> Workflow:
    """The workflow in the body of a request, upgraded if it is of an older format. Raises `WorkflowError`."""
    return Workflow.parse(json.dumps(content), UPGRADES)


def no_job(id_: str) -> Missing:
    return Missing([Problem(f"There is no job {id_} here; /api/runs has those that ended long ago.")])


def job_of(queue: Queue, id_: str) -> Job:
    """Raises `Missing`."""
    try:
        return queue.detail(id_)
    except KeyError:
        raise no_job(id_) from None
