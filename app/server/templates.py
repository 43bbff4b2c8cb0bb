"""The workflows that ship, to begin from."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import FileResponse
from pydantic import BaseModel

from ..workspace.models import OpenedFile, Template
from .errors import MISSING
from .parts import ItsWorkspace
from .pictures import PICTURE

router = APIRouter(prefix="/api/templates", tags=["templates"])


class Templates(BaseModel):
    templates: list[Template]


@router.get("", summary="All templates")
def templates(workspace: ItsWorkspace) -> Templates:
    return Templates(templates=workspace.templates.list())


@router.get("/{name:path}/picture", summary="What a template makes", response_class=FileResponse, responses=PICTURE)
def picture(name: str, workspace: ItsWorkspace) -> FileResponse:
    return FileResponse(workspace.templates.picture(name), headers={"Cache-Control": "private, max-age=3600"})


@router.get("/{name:path}", summary="Begin from a template", responses=MISSING)
def template(name: str, workspace: ItsWorkspace) -> OpenedFile:
    """Its path is null, so that it is saved under a name of its own."""
    return workspace.templates.get(name)
