"""What the server is and has: its version, its devices, its nodes; and what it thinks of a workflow."""

from __future__ import annotations

import importlib.metadata

from fastapi import APIRouter
from pydantic import BaseModel

from ...graph.check import check
from ...graph.difference import Difference, difference
from ...graph.workflow import MAX_NODES, MAX_WIRES
from ..workspace.models import Content
from .catalog import CatalogDescription
from .errors import Problems
from .limits import BODY_BYTES, UPLOAD_BYTES
from .parts import ItsAccess, ItsCatalog, ItsQueue, ItsWorkspace, workflow_of

router = APIRouter(prefix="/api", tags=["server"])


class Limits(BaseModel):
    upload_bytes: int = UPLOAD_BYTES
    body_bytes: int = BODY_BYTES
    nodes: int = MAX_NODES
    wires: int = MAX_WIRES


class Info(BaseModel):
    """`protected`: whether one signs in; `workspace` is the folder."""

    version: str
    devices: list[str]
    protected: bool
    limits: Limits
    workspace: str


class ToCheck(BaseModel):
    """`goals` are the nodes to run to, all that save or show if not given."""

    workflow: Content
    goals: list[str] | None = None


class ToCompare(BaseModel):
    before: Content
    after: Content


@router.get("/catalog", summary="All kinds of nodes")
def catalog(description: ItsCatalog) -> CatalogDescription:
    return description


@router.get("/info", summary="What this server is")
def info(queue: ItsQueue, workspace: ItsWorkspace, access: ItsAccess) -> Info:
    return Info(
        version=importlib.metadata.version("latentloom"),
        devices=list(queue.devices),
        protected=access.protected,
        limits=Limits(),
        workspace=str(workspace.folder),
    )


@router.post("/check", summary="All that is wrong with a workflow")
def check_workflow(body: ToCheck, queue: ItsQueue, workspace: ItsWorkspace) -> Problems:
    """A problem that is not `needed` stops nothing. 422 is for what is no workflow at all."""
    found = check(workflow_of(body.workflow), queue.catalog, workspace.places.files, body.goals)
    return Problems(problems=found)


@router.post("/difference", summary="What differs in meaning between two workflows")
def compare(body: ToCompare, queue: ItsQueue) -> Difference:
    """A default written out is none."""
    return difference(workflow_of(body.before), workflow_of(body.after), queue.catalog)
