"""A workflow somebody wants run, and how."""

from __future__ import annotations

from dataclasses import dataclass

from ...graph.workflow import Workflow


@dataclass(frozen=True)
class Submission:
    """What is asked for. `goals` None is all effects; `front` goes before what waits; `device` None is any."""

    workflow: Workflow
    goals: tuple[str, ...] | None = None
    file: str | None = None
    client: str | None = None
    front: bool = False
    device: str | None = None
