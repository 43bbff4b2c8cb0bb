"""What passes between a batch and its workers: plain values, so that it always comes through and costs little."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .entry import Entry

# ---------------------------------------------------------------- to the worker


@dataclass(frozen=True)
class Setup:
    """What a worker is started with: the workflow (the document of its file) with what all rows share, the nodes there
    are, the folders, and how models run (a `RuntimeSettings`; None for nodes that use none). `resources` are what a
    cluster gives it."""

    document: Mapping[str, Any]
    goals: tuple[str, ...] | None
    modules: Mapping[str, str]
    package: str
    reading: Mapping[str, Sequence[Path]]
    out: Path
    machine: Any = None
    threads: int | None = None
    at_once: int | None = None
    seeds: tuple[str, ...] = ()
    resources: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Rows:
    """Rows to run, each with its settings; those of `again` were begun before, and may have left files."""

    rows: tuple[tuple[int, Mapping[str, Any]], ...]
    again: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Finish:
    """There will be no more rows."""


@dataclass(frozen=True)
class Cancel:
    """Stop at the next step."""


# ---------------------------------------------------------------- from the worker


@dataclass(frozen=True)
class Ready:
    """The worker can run rows; else `error` says why not."""

    error: str = ""


@dataclass(frozen=True)
class Begun:
    """Row by row, before anything of it runs: what a worker dies of is one of the rows begun."""

    row: int


@dataclass(frozen=True)
class Ended:
    """What became of a row; it may be tried `again` after an error that nobody foresaw."""

    entry: Entry
    again: bool = False


@dataclass(frozen=True)
class Finished:
    """The worker has nothing left to do."""
