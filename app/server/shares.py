"""Links under which others of the same server see a workflow, and cannot change it."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from ..workspace.models import Content, Share, Shared
from .errors import MISSING
from .parts import ItsWorkspace, workflow_of

router = APIRouter(prefix="/api/shares", tags=["shares"])


class ToShare(BaseModel):
    """`run` is one whose picture is shown with the workflow."""

    workflow: Content
    run: str | None = None


class Link(BaseModel):
    token: str
    url: str


class Shares(BaseModel):
    shares: list[Share]


class Revoked(BaseModel):
    """The token that opens nothing any more."""

    token: str


@router.get("", summary="All links")
def shares(workspace: ItsWorkspace) -> Shares:
    return Shares(shares=workspace.shares.list())


@router.post("", summary="Make a link", status_code=201, responses=MISSING)
def share(body: ToShare, workspace: ItsWorkspace) -> Link:
    """It shows the workflow as it is now, whatever becomes of it."""
    workflow = workflow_of(body.workflow)
    pictures = workspace.history.get(body.run).run.pictures if body.run is not None else []
    picture = pictures[-1].url if pictures else None
    made = workspace.shares.create(dict(workflow.document), workflow.name, picture)
    return Link(token=made.token, url=f"/share/{made.token}")


@router.get("/{token}", summary="What a link shows", responses=MISSING)
def shared(token: str, workspace: ItsWorkspace) -> Shared:
    return workspace.shares.get(token)


@router.delete("/{token}", summary="Take a link back", responses=MISSING)
def revoke(token: str, workspace: ItsWorkspace) -> Revoked:
    workspace.shares.revoke(token)
    return Revoked(token=token)
