"""Schedules as files: JSON with the schedule, and what is known of how it was found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pydantic

from ...graph import atomic
from ...graph.node import NodeError
from ..types import Schedule
from .samplers import Shaping, Spacing

KIND = "latentloom schedule"


def write(path: Path, schedule: Schedule, facts: Mapping[str, Any]) -> None:
    """Put `schedule` and `facts` (JSON values) in a file, whole or not at all."""
    atomic.write(
        path, json.dumps({"kind": KIND, "schedule": asdict(schedule), "facts": dict(facts)}, indent=1).encode()
    )


def read(path: Path) -> tuple[Schedule, dict[str, Any]]:
    """What `write` wrote. Raises `NodeError` for anything else."""
    try:
        found = json.loads(path.read_text("utf-8"))
        if found["kind"] != KIND:
            raise ValueError
        schedule = pydantic.TypeAdapter(Schedule).validate_python(found["schedule"])
        facts = dict(found["facts"])
    except OSError as problem:
        raise NodeError(f"{path.name} cannot be read: {problem.strerror}.") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise NodeError(
            f"{path.name} holds no schedule; take a file that save_schedule or search_timesteps wrote."
        ) from None
    times = schedule.timesteps
    falls = all(later < earlier for earlier, later in pairwise(times)) and (not times or times[-1] >= 0)
    known = schedule.spacing in get_args(Spacing) and schedule.shaping in get_args(Shaping)
    if not falls or not known or not 1 <= schedule.steps <= 1000 or (times and len(times) != schedule.steps):
        raise NodeError(
            f"The schedule in {path.name} is none: its timesteps fall, are not negative, and as many as its steps "
            "(1 to 1000)."
        )
    return schedule, facts
