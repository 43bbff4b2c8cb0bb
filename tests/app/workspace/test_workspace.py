"""What is opened decides what may be written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from latentloom.app.folders import SHIPPED
from latentloom.app.workspace.workspace import Workspace
from latentloom.graph.problems import Refused


def test_the_folder_of_an_opened_file_may_be_written(folder, tmp_path, content):
    (tmp_path / "project").mkdir()
    (tmp_path / "project/flow.json").write_text(json.dumps(content()))
    workspace = Workspace(folder, opened=tmp_path / "project/flow.json")
    assert workspace.opened_path == "opened/flow.json"
    opened = workspace.files.read("opened/flow.json")
    assert opened.content == content() and opened.writable
    workspace.files.write("opened/other.json", content("two"), None)
    assert (tmp_path / "project/other.json").exists()
    paths = [entry.path for entry in workspace.files.list()]
    assert {"opened/flow.json", "opened/other.json"} < set(paths)
    workspace.close()
    assert sorted(path.name for path in (tmp_path / "project").iterdir()) == ["flow.json", "other.json"]


def test_without_one_there_is_no_such_root(workspace):
    assert workspace.opened_path is None
    with pytest.raises(Refused, match="workflows/ or shipped/"):
        workspace.files.read("opened/flow.json")


def test_a_file_of_the_workspace_or_that_ships_keeps_its_usual_path(folder):
    own = Workspace(folder, opened=folder / "workflows/a/b.json")
    assert own.opened_path == "workflows/a/b.json"
    shipped = Workspace(folder, opened=SHIPPED / "text_to_image.json")
    assert shipped.opened_path == "shipped/text_to_image.json"
    assert not shipped.files.read(shipped.opened_path).writable


def test_where_runs_read_and_write(folder, tmp_path):
    places = Workspace(folder, opened=tmp_path / "project/flow.json").places
    project = tmp_path / "project"
    assert places.reading["input"] == (folder / "input", project / "input", project, SHIPPED / "input")
    assert places.reading["models"][0] == folder / "models" and places.reading["models"][-1] == SHIPPED / "models"
    assert places.output == folder / "output" and places.previews.is_relative_to(folder)


def test_a_relative_folder_stays_where_it_was(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    workspace = Workspace(Path("mine"))
    monkeypatch.chdir("/")
    workspace.files.write("workflows/a.json", content(), None)
    assert (tmp_path / "mine/workflows/a.json").exists()
    workspace.close()
