"""Past runs: searched, opened as they were, compared."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from ..workspace.models import Comparison, RunDetail, Runs
from .errors import MISSING
from .parts import ItsWorkspace

router = APIRouter(prefix="/api/runs", tags=["runs"])


class Forgotten(BaseModel):
    """The run that is no longer kept."""

    id: str


@router.get("", summary="Runs, newest first")
def runs(
    workspace: ItsWorkspace,
    search: Annotated[str, Query(max_length=500, description="Words the run must have all of.")] = "",
    before: Annotated[float | None, Query(description="Only those submitted before this time.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Runs:
    return workspace.history.search(search, before, limit)


@router.get("/compare", summary="Two runs and what differs between their workflows", responses=MISSING)
def compare(a: str, b: str, workspace: ItsWorkspace) -> Comparison:
    return workspace.history.compare(a, b)


@router.get("/{id}", summary="All that is kept of a run", responses=MISSING)
def run(id: str, workspace: ItsWorkspace) -> RunDetail:  # noqa: A002
    """`workflow` is exactly what ran."""
    return workspace.history.get(id)


@router.delete("/{id}", summary="Forget a run", responses=MISSING)
def forget(id: str, workspace: ItsWorkspace) -> Forgotten:  # noqa: A002
    """Files that save nodes wrote stay."""
    workspace.history.delete(id)
    return Forgotten(id=id)
