"""What a run tells, as it happens. The editor, the command line and the tests listen to the same stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .problems import Problem

Values = Callable[[], Mapping[str, Any] | None]
"""Gives the outputs by name, or None where they are not kept. Call it while the event is being told, or not at all."""


@dataclass(frozen=True)
class RunStarted:
    """`nodes` in the order they will be come to; `warnings` lie where the goals need nothing."""

    nodes: tuple[str, ...]
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Started:
    """A node's function is called."""

    node: str


@dataclass(frozen=True)
class Progressed:
    """`done` of `total` steps. `preview`, where there is one, gives an image of the state now: call it while the event
    is being told, or not at all."""

    node: str
    done: int
    total: int
    label: str = ""
    preview: Callable[[], Any] | None = None


@dataclass(frozen=True)
class Noted:
    """Facts for the report."""

    node: str
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Muted:
    """The node takes no part, as somebody muted it, or one it cannot do without."""

    node: str


@dataclass(frozen=True)
class Reused:
    """The node's result, or one that was made of it, was kept from before. Equal results have equal keys."""

    node: str
    key: str
    values: Values


@dataclass(frozen=True)
class Finished:
    """The node's function came to its end. Equal results have equal keys."""

    node: str
    seconds: float
    key: str
    values: Values


@dataclass(frozen=True)
class Failed:
    """`sentence` says why; `traceback` is the text of one where the fault is not the user's, and else empty."""

    node: str
    sentence: str
    seconds: float
    traceback: str = ""


@dataclass(frozen=True)
class Skipped:
    """Not run, as the node `because` failed."""

    node: str
    because: str


@dataclass(frozen=True)
class Cancelled:
    """Not run, or not to its end, as the person stopped the run."""

    node: str


@dataclass(frozen=True)
class RunFinished:
    """The last event, also of a run that failed or was cancelled."""

    seconds: float
    ok: bool


Event = (
    RunStarted | Muted | Started | Progressed | Noted | Reused | Finished | Failed | Skipped | Cancelled | RunFinished
)
Tell = Callable[[Event], object]
"""A listener. It is called in the thread of the run and must not raise."""
