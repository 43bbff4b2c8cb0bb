"""Keep a schedule."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...graph.files import Files, Writes
from ...graph.node import effect
from ...graph.progress import QUIET, Progress
from ..types import Schedule
from .files import write


@effect
def save_schedule(
    schedule: Schedule,
    name: Annotated[
        str, Writes(), Field(min_length=1, max_length=500, description="file name without its ending")
    ] = "schedule",
    progress: Progress = QUIET,
    *,
    files: Files,
) -> None:
    """Write a schedule as a JSON file in the output folder; one of that name is replaced whole. load_schedule takes it
    once it lies in an input folder."""
    path = files.target(f"{name}.json")
    write(path, schedule, {})
    progress.note(files=[str(path)])
