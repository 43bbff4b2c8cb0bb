"""What is told of jobs, as the page and the API read it: JSON of these models is what passes over the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ...graph.problems import Problem

NodeStatus = Literal["waiting", "running", "done", "reused", "failed", "skipped", "cancelled", "muted"]
JobStatus = Literal["queued", "running", "done", "failed", "cancelled"]

ENDED: tuple[JobStatus, ...] = ("done", "failed", "cancelled")


class Value(BaseModel):
    """A value that is replaced, never changed."""

    model_config = ConfigDict(frozen=True)


# ---------------------------------------------------------------- what a node shows


class Picture(Value):
    """`url` is a preview, at most 768 pixels on its longer side; `full` the file a node saved. Sizes are the whole
    picture's, in pixels."""

    kind: Literal["image"] = "image"
    name: str
    url: str
    width: int
    height: int
    full: str | None = None


class TableOutput(Value):
    kind: Literal["table"] = "table"
    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


class Series(Value):
    """A curve of a figure, or with `points` single points."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    points: bool = False


class FigureOutput(Value):
    kind: Literal["figure"] = "figure"
    name: str
    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]


class TextOutput(Value):
    kind: Literal["text"] = "text"
    name: str
    text: str


Output = Annotated[Picture | TableOutput | FigureOutput | TextOutput, Field(discriminator="kind")]


# ---------------------------------------------------------------- nodes and jobs


class NodeState(Value):
    """All there is to tell of a node in a job; each replaces the one before.

    `seconds` were spent so far, or in all; `left` is guessed, None while it cannot be. `preview` is a picture of the
    state in mid-run as a data URL. `facts` are what the node noted.
    """

    status: NodeStatus = "waiting"
    done: int = 0
    total: int = 0
    label: str = ""
    seconds: float = 0.0
    left: float | None = None
    error: str = ""
    preview: str | None = None
    outputs: tuple[Output, ...] = ()
    facts: Mapping[str, Any] = {}


class Job(Value):
    """A workflow that waits, runs or has ended. Times are seconds since 1970; `progress` goes from 0 to 1.

    `file` is what it was submitted from, `client` who did, `thumbnail` a picture it made.
    """

    id: str
    name: str
    status: JobStatus = "queued"
    file: str | None = None
    client: str | None = None
    device: str = ""
    submitted: float
    started: float | None = None
    ended: float | None = None
    progress: float = 0.0
    error: str = ""
    thumbnail: str | None = None


class JobDetail(Job):
    """A job with what it runs and how each node stands."""

    workflow: Mapping[str, Any]
    goals: tuple[str, ...] | None = None
    nodes: Mapping[str, NodeState] = {}
    warnings: tuple[Problem, ...] = ()


# ---------------------------------------------------------------- messages


class Snapshot(Value):
    """Everything at once, for a page that begins to look; `watched` is the job it asked for."""

    type: Literal["snapshot"] = "snapshot"
    paused: bool
    jobs: Sequence[Job]
    watched: JobDetail | None = None


class QueueMessage(Value):
    """The queue as it stands now: running, waiting in order, then ended, newest first."""

    type: Literal["queue"] = "queue"
    paused: bool
    jobs: Sequence[Job]


class JobMessage(Value):
    type: Literal["job"] = "job"
    job: Job


class NodeMessage(Value):
    type: Literal["node"] = "node"
    job: str
    node: str
    state: NodeState


Message = QueueMessage | JobMessage | NodeMessage
"""What the queue tells its subscribers."""
