"""Work that was not saved yet, kept while it is done."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from ..workspace.models import Content, Draft, DraftEntry
from .errors import MISSING
from .parts import ItsWorkspace

router = APIRouter(prefix="/api/drafts", tags=["drafts"])


class Drafts(BaseModel):
    drafts: list[DraftEntry]


class Kept(BaseModel):
    """The state of a page; `path` and `etag` tell the file it began from."""

    content: Content
    path: str | None = None
    etag: str | None = None


class Dropped(BaseModel):
    """The draft that is no longer kept."""

    id: str


@router.get("", summary="All drafts")
def drafts(workspace: ItsWorkspace) -> Drafts:
    return Drafts(drafts=workspace.drafts.list())


@router.get("/{id}", summary="Open a draft", responses=MISSING)
def draft(id: str, workspace: ItsWorkspace) -> Draft:  # noqa: A002
    return workspace.drafts.get(id)


@router.put("/{id}", summary="Keep a draft")
def keep(id: str, body: Kept, workspace: ItsWorkspace) -> DraftEntry:  # noqa: A002
    return workspace.drafts.put(id, body.content, body.path, body.etag)


@router.delete("/{id}", summary="Drop a draft", responses=MISSING)
def drop(id: str, workspace: ItsWorkspace) -> Dropped:  # noqa: A002
    workspace.drafts.delete(id)
    return Dropped(id=id)
