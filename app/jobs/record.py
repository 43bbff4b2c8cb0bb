"""A job of the server as it stands: what its worker reports becomes states for the page."""

from __future__ import annotations

from typing import Any

from ...graph.check import Checked
from .pace import Pace
from .reports import NodeEnded, Noted, Report, Shown, Started, Stepped
from .wire import Job, JobDetail, JobStatus, NodeState

_OPEN = ("waiting", "running")
_TOLD = 0.01
"""Progress that is told: less is not seen."""


class Record:
    """`job` and `nodes` are replaced as reports come in. Times are in seconds: `wall` since 1970, `now` steady."""

    def __init__(self, job: Job, document: Any, goals: tuple[str, ...] | None, checked: Checked) -> None:
        self.job, self.document, self.goals = job, document, goals
        self.warnings = [problem for problem in checked.problems if not problem.needed]
        self.nodes = {id_: NodeState() for id_ in checked.order}
        self.nodes |= {id_: NodeState(status="muted") for id_ in checked.muted}
        self.given_back = False
        self._count = len(checked.order)
        self._over = 0
        self._told = 0.0
        self._begun: dict[str, float] = {}
        self._paces: dict[str, Pace] = {}

    @property
    def detail(self) -> JobDetail:
        return JobDetail(
            **dict(self.job),
            workflow=self.document,
            goals=self.goals,
            nodes=dict(self.nodes),
            warnings=tuple(self.warnings),
        )

    @property
    def files(self) -> list[str]:
        """What was written, as POSIX paths below the output folder."""
        return [file for state in self.nodes.values() for file in state.facts.get("files", ())]

    def begin(self, device: str, wall: float) -> None:
        self.job = self._with(status="running", device=device, started=wall)

    @property
    def untouched(self) -> bool:
        """No node was begun."""
        return all(state.status in ("waiting", "muted") for state in self.nodes.values())

    def give_back(self) -> None:
        """It waits again; once only, or what kills every worker would go on for ever."""
        self.given_back = True
        self.job = self._with(status="queued", started=None)

    def hear(self, report: Report, now: float) -> tuple[str | None, bool]:
        """Take a report in; the node it changed, and whether the job itself changed enough to be told."""
        job = self.job
        node = getattr(report, "node", None)
        if node not in self.nodes:
            return None, False
        state = self.nodes[node]
        match report:
            case Started():
                self._begun[node] = now
                change = {"status": "running"}
            case Stepped(_, done, total, label, preview):
                left = self._paces.setdefault(node, Pace()).left(done, total, now)
                change = {"done": done, "total": total, "label": label, "left": left, "seconds": self._spent(node, now)}
                change |= {"preview": preview} if preview else {}
            case Noted(_, facts):
                change = {"facts": {**state.facts, **facts}}
            case NodeEnded(_, status, seconds, error):
                change = self._closing(status, seconds, error)
                change |= {"done": state.total} if status == "done" else {}
                self._over += 1
            case Shown(_, outputs, thumbnail):
                change = {"outputs": outputs}
                if thumbnail:
                    self.job = self._with(thumbnail=thumbnail)
            case _:
                return None, False
        self.nodes[node] = state.model_copy(update=change)
        self._progress(node)
        return node, self.job is not job

    def end(self, status: JobStatus, error: str, wall: float, now: float) -> list[str]:
        """Close the job, and the nodes that were left open, which are given. `error` is why it failed, if it did."""
        left = [node for node, state in self.nodes.items() if state.status in _OPEN]
        for node in left:
            state = self.nodes[node]
            if status == "cancelled":
                change = self._closing("cancelled", self._spent(node, now), "")
            elif state.status == "running":
                change = self._closing("failed", self._spent(node, now), error)
            else:
                change = self._closing("skipped", 0.0, "The job ended before it came to this node.")
            self.nodes[node] = state.model_copy(update=change)
        progress = 1.0 if status == "done" else self.job.progress
        self.job = self._with(status=status, error=error, ended=wall, progress=progress)
        return left

    def _spent(self, node: str, now: float) -> float:
        return now - self._begun.get(node, now)

    def _closing(self, status: str, seconds: float, error: str) -> dict[str, Any]:
        """An ended node shows its outputs, and no longer what they were going to be."""
        return {"status": status, "seconds": seconds, "error": error, "left": None, "preview": None}

    def _progress(self, node: str) -> None:
        state = self.nodes[node]
        part = state.done / state.total if state.status == "running" and state.total else 0.0
        progress = min(1.0, (self._over + part) / max(1, self._count))
        if progress >= self._told + _TOLD or progress == 1.0 > self._told:
            self._told = progress
            self.job = self._with(progress=progress)

    def _with(self, **change: Any) -> Job:
        return self.job.model_copy(update=change)
