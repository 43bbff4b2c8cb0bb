"""Workflow files: listed, opened, saved over exactly the state that was read, and every state kept."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, Field
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from ..workspace.models import Content, FileEntry, OpenedFile, Saved, Version
from .errors import CONFLICT, MISSING, Problems
from .parts import ItsHub, ItsWorkspace, Tab

router = APIRouter(prefix="/api", tags=["files"])

_UNCONDITIONAL = "Saving needs If-Match with the etag of the state to replace, or If-None-Match: * for a new file."
_BYTES = {"schema": {"type": "string", "format": "binary"}}


class Files(BaseModel):
    files: list[FileEntry]


class Versions(BaseModel):
    """Newest first."""

    versions: list[Version]


class Save(BaseModel):
    """`label` names the version that is kept."""

    content: Content
    label: str = Field("", max_length=200)


class Rename(BaseModel):
    """The whole new path."""

    to: str


class Restore(BaseModel):
    """`etag` is the state to replace; null is that the file is gone."""

    etag: str | None


class Label(BaseModel):
    label: str = Field(max_length=200)


class Removed(BaseModel):
    """What was taken away."""

    path: str


@router.get("/files", summary="All workflow files")
def files(workspace: ItsWorkspace) -> Files:
    return Files(files=workspace.files.list())


@router.get("/files/{path:path}", summary="Open a file", responses=MISSING)
def opened(path: str, workspace: ItsWorkspace) -> OpenedFile:
    return workspace.files.read(path)


@router.put(
    "/files/{path:path}",
    summary="Save a file",
    responses=CONFLICT | {428: {"model": Problems, "description": "Which state to replace was not said"}},
)
async def save(
    path: str,
    body: Save,
    workspace: ItsWorkspace,
    hub: ItsHub,
    tab: Tab = None,
    if_match: Annotated[str | None, Header(description="The state to replace, as it was read.")] = None,
    if_none_match: Annotated[str | None, Header(description="`*`: only where no file is.")] = None,
) -> Saved:
    """412 tells that somebody else saved meanwhile; nothing is written then."""
    if if_match is None and if_none_match != "*":
        raise HTTPException(428, _UNCONDITIONAL)
    saved = await asyncio.to_thread(workspace.files.write, path, body.content, _etag(if_match), body.label)
    hub.file_changed(saved.path, saved.etag, tab)
    return saved


@router.post("/files/{path:path}/rename", summary="Give a file another name", responses=MISSING | CONFLICT)
async def rename(path: str, body: Rename, workspace: ItsWorkspace, hub: ItsHub, tab: Tab = None) -> Saved:
    saved = await asyncio.to_thread(workspace.files.rename, path, body.to)
    hub.file_changed(path, None, tab)
    hub.file_changed(saved.path, saved.etag, tab)
    return saved


@router.delete("/files/{path:path}", summary="Delete a file", responses=MISSING | CONFLICT)
async def delete(
    path: str,
    workspace: ItsWorkspace,
    hub: ItsHub,
    tab: Tab = None,
    if_match: Annotated[str | None, Header(description="Only the state it was read in.")] = None,
) -> Removed:
    """Its last state is kept as a version."""
    await asyncio.to_thread(workspace.files.delete, path, _etag(if_match))
    hub.file_changed(path, None, tab)
    return Removed(path=path)


@router.get("/versions/{path:path}", summary="Every state a file had", responses=MISSING)
def versions(path: str, workspace: ItsWorkspace) -> Versions:
    return Versions(versions=workspace.versions.list(path))


@router.get("/version/{id}", summary="Open an earlier state", responses=MISSING)
def version(id: int, workspace: ItsWorkspace) -> OpenedFile:  # noqa: A002
    """Its path is that of the file, its etag that of the file now: saving it brings it back."""
    return workspace.files.version(id)


@router.post("/version/{id}/restore", summary="Save an earlier state again", responses=MISSING | CONFLICT)
async def restore(id: int, body: Restore, workspace: ItsWorkspace, hub: ItsHub, tab: Tab = None) -> Saved:  # noqa: A002
    saved = await asyncio.to_thread(workspace.files.restore, id, body.etag)
    hub.file_changed(saved.path, saved.etag, tab)
    return saved


@router.put("/version/{id}/label", summary="Name a state", responses=MISSING)
def label(id: int, body: Label, workspace: ItsWorkspace) -> Version:  # noqa: A002
    return workspace.versions.label(id, body.label)


@router.post(
    "/open",
    summary="Read the workflow in a JSON file or a picture",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/octet-stream": _BYTES,
                "multipart/form-data": {
                    "schema": {"type": "object", "properties": {"file": _BYTES["schema"]}, "required": ["file"]}
                },
            },
        }
    },
)
async def open_bytes(request: Request, workspace: ItsWorkspace) -> OpenedFile:
    """The body is the file itself, or a form with it. Nothing is stored."""
    data, name = await request.body(), ""
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        async with request.form(max_files=1, max_fields=10) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise HTTPException(422, 'The form has no file under the name "file".')
            data, name = await file.read(), file.filename or ""
    return await asyncio.to_thread(workspace.files.open_bytes, data, name)


def _etag(header: str | None) -> str | None:
    """An etag as the workspace has it; HTTP puts it in quotes."""
    return None if header is None else header.strip().removeprefix("W/").strip('"')
