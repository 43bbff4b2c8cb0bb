"""Unsaved work outlives the page and the server."""

from __future__ import annotations

import pytest

from latentloom.app.workspace import drafts
from latentloom.app.workspace.refusals import Missing
from latentloom.app.workspace.workspace import Workspace
from latentloom.graph.problems import Refused

ID = "draft-0001"


def test_a_draft_survives_the_server(workspace, folder, content):
    entry = workspace.drafts.put(ID, content(), "workflows/a.json", "etag")
    workspace.close()
    again = Workspace(folder)
    found = again.drafts.get(ID)
    assert found.content == content() and (found.path, found.etag) == ("workflows/a.json", "etag")
    assert again.drafts.list() == [entry] and (entry.name, entry.nodes) == ("Circle", 1)
    again.close()


def test_the_last_state_takes_the_place_of_the_one_before(workspace, content):
    workspace.drafts.put(ID, content("one"), "workflows/a.json", "e")
    workspace.drafts.put(ID, content("two"))
    (entry,) = workspace.drafts.list()
    assert workspace.drafts.get(ID).content == content("two") and entry.path is None is entry.etag


def test_newest_first(workspace, content, monkeypatch):
    for number, now in enumerate((3, 1, 2)):
        monkeypatch.setattr(drafts.time, "time", lambda now=now: now)
        workspace.drafts.put(f"number-{number}", content())
    assert [entry.saved for entry in workspace.drafts.list()] == [3, 2, 1]


def test_unfinished_work_is_kept_as_it_is(workspace):
    for odd in ({}, {"nodes": [], "name": 3}, {"format": 1, "nodes": {"a": {}}}):
        workspace.drafts.put(ID, odd)
        assert workspace.drafts.get(ID).content == odd


def test_a_draft_of_an_older_format_is_upgraded(workspace):
    workspace.drafts.put(ID, {"format": 0, "nodes": {"a": {"type": "number", "value": 3}}})
    assert workspace.drafts.get(ID).content["nodes"]["a"]["settings"] == {"value": 3}


def test_deleting(workspace, content):
    workspace.drafts.put(ID, content())
    workspace.drafts.delete(ID)
    assert workspace.drafts.list() == []
    for ask in (workspace.drafts.get, workspace.drafts.delete):
        with pytest.raises(Missing):
            ask(ID)


@pytest.mark.parametrize("id_", ["", "short", "x" * 65, "../../etc", "a b c d e f", "näher-dran"])
def test_ids_that_nobody_makes(workspace, content, id_):
    for ask in (workspace.drafts.get, workspace.drafts.delete, lambda id_: workspace.drafts.put(id_, content())):
        with pytest.raises(Refused, match="names no draft"):
            ask(id_)


def test_what_no_file_can_hold_is_refused(workspace):
    for odd in ({"a": float("nan")}, {"a": "\ud800"}, {"a": {1: 2}}):
        with pytest.raises(Refused):
            workspace.drafts.put(ID, odd)


def test_size_and_number_have_an_end_and_nothing_is_dropped(workspace, content, monkeypatch):
    monkeypatch.setattr(drafts, "MAX_DRAFTS", 3)
    monkeypatch.setattr(drafts, "MAX_BYTES", 2000)
    for number in range(3):
        workspace.drafts.put(f"number-{number}", content())
    with pytest.raises(Refused, match="There are 3 drafts"):
        workspace.drafts.put("number-3", content())
    with pytest.raises(Refused, match="MB"):
        workspace.drafts.put("number-0", content("x" * 2000))
    workspace.drafts.put("number-1", content("still"))
    assert len(workspace.drafts.list()) == 3 and workspace.drafts.get("number-0").content == content()
