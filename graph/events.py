"""What a run tells, as it happens. The editor, the command line and the tests listen to the same stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .problems import Problem


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
class Reused:
    """The node's result, or one that was made of it, was kept from before."""

    node: str


@dataclass(frozen=True)
class Finished:
    node: str
    seconds: float


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


Event = RunStarted | Started | Progressed | Noted | Reused | Finished | Failed | Skipped | Cancelled | RunFinished
Tell = Callable[[Event], object]
"""A listener. It is called in the thread of the run and must not raise."""
