"""What the workspace keeps, as it goes over the wire: the models of `canvas/src/lib/types.ts` of the same names.

Times are seconds since 1970. Paths are POSIX: `<root>/<relative>`, e.g. `workflows/portraits/a.json`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from ...graph.difference import Difference
from ...graph.problems import Problem

Content = dict[str, Any]
"""The JSON of a workflow file."""

RunStatus = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]


class Value(BaseModel):
    """Never changed, only replaced."""

    model_config = ConfigDict(frozen=True)


class FileEntry(Value):
    """A workflow file in a list; `name` is its path without root and ending."""

    path: str
    name: str
    modified: float
    writable: bool


class OpenedFile(Value):
    """A workflow as it is shown. `etag` names the state of the file it was read from, for saving over exactly that."""

    path: str | None
    content: Content
    etag: str | None
    writable: bool
    changes: list[str] = []
    problems: list[Problem] = []


class Saved(Value):
    """A file was written; `etag` names what it holds now."""

    path: str
    etag: str


class Version(Value):
    """A state a file once had."""

    id: int
    path: str
    saved: float
    nodes: int
    label: str


class Template(Value):
    """A workflow that ships; `name` is its path without root and ending, `picture` a URL."""

    name: str
    title: str
    about: str
    picture: str | None


class DraftEntry(Value):
    """A draft in a list."""

    id: str
    saved: float
    path: str | None
    etag: str | None
    name: str
    nodes: int


class Draft(Value):
    """Work not saved yet; `path` and `etag` tell the file it began from."""

    id: str
    saved: float
    path: str | None
    etag: str | None
    content: Content


class Share(Value):
    """Who knows the token may see the workflow."""

    token: str
    name: str
    shared: float


class Shared(Value):
    """What a share shows: the workflow and its picture as they were when it was made. `picture` is a URL."""

    content: Content
    picture: str | None
    name: str
    shared: float


class Upload(Value):
    """A picture taken in; `path` is a value for a setting that reads pictures."""

    path: str
    width: int
    height: int


class RunPicture(Value):
    """A picture a run made: small, as shown, and the whole file a node wrote, as URLs."""

    thumbnail: str
    url: str
    full: str | None
    node: str
    width: int
    height: int


class Run(Value):
    """A past run, in the gallery. `seconds` is from start to end."""

    id: str
    name: str
    status: RunStatus
    file: str | None
    submitted: float
    seconds: float | None
    error: str
    pictures: list[RunPicture]


class Runs(Value):
    """A page of the gallery, newest first; `more` lie behind it."""

    runs: list[Run]
    more: bool


class RunDetail(Value):
    """All that is kept of a run. `workflow` is exactly what ran; `nodes` holds the last state of each node as the queue
    told it (`NodeState`); `files` are what save nodes wrote."""

    run: Run
    workflow: Content
    goals: list[str] | None
    nodes: dict[str, Any]
    lock: dict[str, Any]
    files: list[str]
    device: str
    started: float | None
    ended: float | None


class Comparison(Value):
    """Two runs, and what differs between their workflows."""

    a: Run
    b: Run
    difference: Difference
