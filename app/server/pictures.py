"""Pictures that come in, and pictures and files that runs made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, UploadFile
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel

from ...graph.files import Files
from ...graph.problems import Problem, quoted
from ..workspace.models import Upload
from ..workspace.refusals import Missing
from .errors import MISSING
from .parts import ItsWorkspace

router = APIRouter(prefix="/api", tags=["pictures"])

_BINARY = {"schema": {"type": "string", "format": "binary"}}
PICTURE: dict[int | str, dict[str, Any]] = MISSING | {
    200: {"content": {"image/*": _BINARY}, "description": "A picture"}
}
FILE: dict[int | str, dict[str, Any]] = MISSING | {
    200: {"content": {"application/octet-stream": _BINARY}, "description": "A file"}
}

_FOR_EVER = "private, max-age=31536000, immutable"


class Choices(BaseModel):
    """Values a setting can have."""

    choices: list[str]


@router.post("/uploads", summary="Take in a picture", status_code=201)
def upload(file: UploadFile, workspace: ItsWorkspace) -> Upload:
    """It is kept under a random name; `path` is a value for a setting that reads pictures."""
    return workspace.uploads.save(file.file.read())


@router.get("/choices/{kind}", summary="Values for a setting that reads files")
def choices(kind: Literal["input", "models"], workspace: ItsWorkspace) -> Choices:
    return Choices(choices=workspace.uploads.choices(kind))


@router.get("/inputs/{path:path}", summary="A picture to read", response_class=Response, responses=PICTURE)
def read(
    path: str,
    workspace: ItsWorkspace,
    size: Annotated[int | None, Query(ge=16, le=1024, description="Pixels of the longer side of a thumbnail.")] = None,
) -> Response:
    if size is None:
        return FileResponse(workspace.uploads.picture(path), headers={"Cache-Control": "no-cache"})
    return Response(workspace.uploads.thumbnail(path, size), media_type="image/webp")


@router.get("/previews/{name}", summary="A picture a node shows", response_class=FileResponse, responses=PICTURE)
def preview(name: str, workspace: ItsWorkspace) -> FileResponse:
    """Named after what is in it, so it may be kept for ever."""
    return FileResponse(_in(workspace.places.previews, name), headers={"Cache-Control": _FOR_EVER})


@router.get("/outputs/{path:path}", summary="A file a node wrote", response_class=FileResponse, responses=FILE)
def written(path: str, workspace: ItsWorkspace) -> FileResponse:
    return FileResponse(_in(workspace.places.output, path), headers={"Cache-Control": "no-cache"})


def _in(folder: Path, path: str) -> Path:
    """The file `path` in `folder`. Raises `FileRefused` and `Missing`."""
    found = Files({"file": [folder]}).find(path, "file")
    if not found.is_file():
        raise Missing([Problem(f"{quoted(path)} is not a file.")])
    return found
