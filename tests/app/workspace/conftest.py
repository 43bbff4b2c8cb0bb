"""A workspace in an empty folder, and what is put into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from latentloom.app.jobs.wire import JobDetail, NodeState, Picture
from latentloom.app.workspace.workspace import Workspace

Content = dict[str, Any]
MakeJob = Callable[..., JobDetail]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "mine"


@pytest.fixture
def workspace(folder: Path) -> Iterator[Workspace]:
    made = Workspace(folder)
    yield made
    made.close()


@pytest.fixture
def content() -> Callable[..., Content]:
    """A workflow of one node, told apart by its text."""

    def make(text: str = "a red circle", **more: Any) -> Content:
        nodes = {"prompt": {"type": "encode_prompt", "settings": {"text": text}}}
        return {"format": 1, "name": "Circle", "nodes": nodes, "wires": [], **more}

    return make


@pytest.fixture
def job(content: Callable[..., Content]) -> MakeJob:
    """A job that was queued, or with other values."""

    def make(id: str = "j1", text: str = "a red circle", **more: Any) -> JobDetail:  # noqa: A002
        values = {"id": id, "name": "Circle", "submitted": 1000.0, "workflow": content(text), **more}
        return JobDetail.model_validate(values)

    return make


@pytest.fixture
def preview(workspace: Workspace) -> Callable[..., NodeState]:
    """The state of a node that shows a picture, whose file is made."""

    def make(name: str = "abc123.webp", size: int = 600, colour: str = "red") -> NodeState:
        folder = workspace.places.previews
        folder.mkdir(parents=True, exist_ok=True)
        Pillow.new("RGB", (size, size // 2), colour).save(folder / name, "WEBP")
        picture = Picture(name="image", url=f"/api/previews/{name}", width=size, height=size // 2)
        return NodeState(status="done", seconds=1.5, outputs=(picture,), preview="data:image/webp;base64,xx")

    return make
