"""Use a schedule that was kept or searched for."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...graph.files import Files, Reads
from ...graph.node import node
from ...graph.progress import QUIET, Progress
from ..types import Schedule
from .files import read


@node
def load_schedule(
    path: Annotated[
        str, Reads("input"), Field(description="a file of save_schedule or search_timesteps in the input folders")
    ],
    progress: Progress = QUIET,
    *,
    files: Files,
) -> Schedule:
    """Take the schedule in a file. What is known of how it was found, such as the model and sampler it was searched
    for, is told in the report; another sampler may follow it less well."""
    schedule, facts = read(files.find(path, "input"))
    progress.note(**{name: value for name, value in facts.items() if isinstance(name, str)})
    return schedule
