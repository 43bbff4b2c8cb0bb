"""What passes between the server and a worker: plain values, so that it always comes through and costs little."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .places import Places
from .wire import Output

# ---------------------------------------------------------------- to the worker


@dataclass(frozen=True)
class Setup:
    """What a worker is started with: the folders, the nodes there are, and how models run (a `RuntimeSettings`; None
    for nodes that use none)."""

    places: Places
    modules: Mapping[str, str]
    package: str
    machine: Any = None


@dataclass(frozen=True)
class Task:
    """Run this workflow (the document of its file)."""

    job: str
    document: Mapping[str, Any]
    goals: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Cancel:
    job: str


@dataclass(frozen=True)
class Stop:
    """Cancel what runs, and end."""


# ---------------------------------------------------------------- from the worker


@dataclass(frozen=True)
class Ready:
    """The worker listens."""


@dataclass(frozen=True)
class Started:
    node: str


@dataclass(frozen=True)
class Stepped:
    """`preview` is a data URL; None leaves the one that is shown."""

    node: str
    done: int
    total: int
    label: str = ""
    preview: str | None = None


@dataclass(frozen=True)
class Noted:
    node: str
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class NodeEnded:
    node: str
    status: Literal["done", "reused", "failed", "skipped", "cancelled"]
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class Shown:
    """Outputs of a node that ended, and a small picture of them where there is one."""

    node: str
    outputs: tuple[Output, ...]
    thumbnail: str | None = None


@dataclass(frozen=True)
class JobEnded:
    """The last report of a job. `error` is empty when all went well."""

    status: Literal["done", "failed", "cancelled"]
    error: str = ""
    lock: Mapping[str, Any] = field(default_factory=dict)


Report = Ready | Started | Stepped | Noted | NodeEnded | Shown | JobEnded
"""All but the first are about the job the worker was given last."""
