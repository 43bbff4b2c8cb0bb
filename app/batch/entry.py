"""What became of a row, as the results table tells it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ...graph.batch import Row
from ...graph.walk import RunResult
from ..jobs.plain import plain

Status = Literal["done", "failed"]


@dataclass(frozen=True)
class Entry:
    """`files` are relative to the batch's folder. `seconds` are the row's own share of what was made together with
    others; `ended` is seconds since 1970."""

    row: int
    status: Status
    settings: Mapping[str, Any] = field(default_factory=dict)
    seeds: Mapping[str, int] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    seconds: float = 0.0
    network_calls: int = 0
    scores: Mapping[str, float] = field(default_factory=dict)
    error: str = ""
    tries: int = 1
    ended: float = 0.0


def entry(row: Row, result: RunResult, seeds: Mapping[str, int], out: Path) -> Entry:
    """What became of `row`."""
    outcomes = result.outcomes
    files = [Path(file) for outcome in outcomes.values() for file in outcome.notes.get("files", ())]
    failed = [f"{node}: {outcome.error}" for node, outcome in outcomes.items() if outcome.status == "failed"]
    own = [outcome for outcome in outcomes.values() if outcome.status == "done"]
    scores = {
        node: float(outcome.notes["mean_score"]) for node, outcome in outcomes.items() if "mean_score" in outcome.notes
    }
    return Entry(
        row=row.number,
        status="done" if result.ok else "failed",
        settings=dict(row.settings),
        seeds=seeds,
        files=tuple(file.relative_to(out).as_posix() if file.is_relative_to(out) else str(file) for file in files),
        seconds=round(sum(outcome.seconds for outcome in own), 4),
        network_calls=sum(int(outcome.notes.get("network_calls", 0)) for outcome in own),
        scores=scores,
        error=plain("; ".join(failed)),
        ended=round(time.time(), 3),
    )
