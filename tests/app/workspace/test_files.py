"""Files are saved whole, over the state their writer saw, and never lost."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from typing import Any

import pytest
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from latentloom.app.workspace import files
from latentloom.app.workspace.refusals import Conflict, Missing
from latentloom.app.workspace.workspace import Workspace
from latentloom.graph.problems import Refused

PATH = "workflows/a.json"


def on_disk(folder, path=PATH):
    return (folder / path).read_bytes()


def test_nothing_is_made_before_the_first_write(folder):
    workspace = Workspace(folder)
    assert workspace.files.list() and workspace.drafts.list() == [] == workspace.shares.list()
    assert workspace.history.search("x").runs == []
    assert not folder.exists()


def test_a_file_is_made_read_and_listed(workspace, folder, content):
    saved = workspace.files.write("workflows/portraits/a.json", content(), None)
    assert saved.etag == hashlib.sha256(on_disk(folder, saved.path)).hexdigest()
    opened = workspace.files.read(saved.path)
    assert opened.content == content() and opened.etag == saved.etag and opened.path == saved.path
    assert opened.writable and opened.changes == [] == opened.problems
    (entry,) = [entry for entry in workspace.files.list() if entry.writable]
    assert (entry.path, entry.name) == (saved.path, "portraits/a")
    assert entry.modified == (folder / saved.path).stat().st_mtime


def test_what_ships_is_listed_and_read_only(workspace, content):
    shipped = [entry for entry in workspace.files.list() if entry.path.startswith("shipped/")]
    assert "shipped/text_to_image.json" in [entry.path for entry in shipped]
    assert "shipped/train/shapes_unet.json" in [entry.path for entry in shipped]
    assert not any(entry.writable for entry in shipped)
    assert all(workspace.files.read(entry.path).content["nodes"] for entry in shipped)
    with pytest.raises(Refused, match="not written over"):
        workspace.files.write("shipped/text_to_image.json", content(), None)


def test_saving_needs_the_state_that_is_replaced(workspace, folder, content):
    first = workspace.files.write(PATH, content("one"), None)
    second = workspace.files.write(PATH, content("two"), first.etag)
    for etag in (first.etag, None, "nonsense"):
        with pytest.raises(Conflict) as conflict:
            workspace.files.write(PATH, content("three"), etag)
        assert conflict.value.etag == second.etag
    assert json.loads(on_disk(folder)) == content("two")


def test_saving_over_a_file_that_is_gone(workspace, content):
    with pytest.raises(Conflict, match="deleted or renamed") as conflict:
        workspace.files.write(PATH, content(), "0" * 64)
    assert conflict.value.etag is None


def test_a_file_changed_by_hand_is_not_overwritten_and_becomes_a_version(workspace, folder, content):
    saved = workspace.files.write(PATH, content("mine"), None)
    (folder / PATH).write_text(json.dumps(content("by hand")))
    with pytest.raises(Conflict) as conflict:
        workspace.files.write(PATH, content("later"), saved.etag)
    workspace.files.write(PATH, content("later"), conflict.value.etag)
    texts = [workspace.files.version(version.id).content for version in workspace.versions.list(PATH)]
    assert texts == [content("later"), content("by hand"), content("mine")]


def test_saving_the_same_keeps_the_bytes(workspace, folder, content):
    (folder / "workflows").mkdir(parents=True)
    document = content(scale=2.0)
    (folder / PATH).write_text(json.dumps(document, indent=7))
    before = on_disk(folder)
    opened = workspace.files.read(PATH)
    as_a_page_has_it = json.loads(json.dumps(opened.content).replace("2.0", "2"))
    assert workspace.files.write(PATH, as_a_page_has_it, opened.etag).etag == opened.etag
    assert on_disk(folder) == before
    assert workspace.files.write(PATH, {**document, "scale": True}, opened.etag).etag != opened.etag


def test_what_is_no_workflow_is_refused_with_all_reasons(workspace, folder):
    broken = {"format": 1, "nodes": {"a": {"settings": {}}, "b": 3}, "wires": [["a"]]}
    with pytest.raises(Refused) as refused:
        workspace.files.write(PATH, broken, None)
    assert len(refused.value.problems) == 3
    assert not (folder / PATH).exists()


def test_only_what_can_be_read_again_is_written(workspace, folder, content):
    for odd in ({"nodes": {}}, content(format="1"), content(format=99), content(x=float("nan")), content(x="\ud800")):
        with pytest.raises(Refused):
            workspace.files.write(PATH, odd, None)
    assert not (folder / PATH).exists()
    workspace.files.write(PATH, {"format": 0, "nodes": {"a": {"type": "number", "value": 3}}}, None)
    assert json.loads(on_disk(folder)) == {"format": 1, "nodes": {"a": {"type": "number", "settings": {"value": 3}}}}


def test_a_file_in_use_elsewhere_is_said_after_a_while(workspace, content, monkeypatch):
    monkeypatch.setattr(files, "LOCK_SECONDS", 0.2)
    place = workspace.files._roots.to_write(PATH)
    done = []

    def work():
        with pytest.raises(Refused, match="in use by another server"):
            workspace.files.write(PATH, content(), None)
        done.append(True)

    with workspace.files._locked(place):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert done and workspace.files.write(PATH, content(), None)


def test_a_broken_file_is_refused_with_all_reasons(workspace, folder):
    (folder / "workflows").mkdir(parents=True)
    (folder / PATH).write_text('{"format": 1, "nodes": {"a": {}, "b": 3}}')
    with pytest.raises(Refused) as refused:
        workspace.files.read(PATH)
    assert len(refused.value.problems) == 2


def test_an_old_file_is_upgraded_when_read_and_stays_as_it_is_until_saved(workspace, folder):
    (folder / "workflows").mkdir(parents=True)
    (folder / PATH).write_text('{"format": 0, "nodes": {"a": {"type": "number", "value": 3}}}')
    before = on_disk(folder)
    opened = workspace.files.read(PATH)
    assert len(opened.changes) == 1 and opened.content["nodes"]["a"]["settings"] == {"value": 3}
    assert on_disk(folder) == before
    saved = workspace.files.write(PATH, opened.content, opened.etag)
    assert json.loads(on_disk(folder))["format"] == 1 and saved.etag != opened.etag
    assert len(workspace.versions.list(PATH)) == 2


def test_renaming_takes_the_versions_along(workspace, folder, content):
    first = workspace.files.write(PATH, content("one"), None)
    workspace.files.write(PATH, content("two"), first.etag)
    moved = workspace.files.rename(PATH, "workflows/new/b.json")
    assert not (folder / PATH).exists() and json.loads(on_disk(folder, moved.path)) == content("two")
    assert len(workspace.versions.list(moved.path)) == 2 and workspace.versions.list(PATH) == []


def test_renaming_takes_nobodys_place(workspace, folder, content):
    workspace.files.write(PATH, content("one"), None)
    other = workspace.files.write("workflows/b.json", content("two"), None)
    with pytest.raises(Conflict) as conflict:
        workspace.files.rename(PATH, "workflows/b.json")
    assert conflict.value.etag == other.etag
    assert json.loads(on_disk(folder)) == content("one")
    with pytest.raises(Refused, match="already"):
        workspace.files.rename(PATH, PATH)
    with pytest.raises(Missing):
        workspace.files.rename("workflows/c.json", "workflows/d.json")


def test_a_deleted_file_comes_back_from_its_versions(workspace, folder, content):
    saved = workspace.files.write(PATH, content(), None)
    with pytest.raises(Conflict):
        workspace.files.delete(PATH, "0" * 64)
    workspace.files.delete(PATH, saved.etag)
    assert not (folder / PATH).exists()
    with pytest.raises(Missing):
        workspace.files.read(PATH)
    with pytest.raises(Missing):
        workspace.files.delete(PATH)
    (version,) = workspace.versions.list(PATH)
    assert workspace.files.version(version.id).etag is None
    assert workspace.files.restore(version.id, None).etag == saved.etag
    assert json.loads(on_disk(folder)) == content()


def test_opening_bytes_goes_by_what_they_are(workspace, content, tmp_path):
    data = json.dumps(content()).encode()
    opened = workspace.files.open_bytes(data, "misnamed.png")
    assert opened.content == content() and opened.path is None is opened.etag
    info = PngInfo()
    info.add_itxt("latentloom.workflow", data.decode())
    Pillow.new("RGB", (4, 4)).save(tmp_path / "a.png", pnginfo=info)
    assert workspace.files.open_bytes((tmp_path / "a.png").read_bytes(), "misnamed.json").content == content()


@pytest.mark.parametrize("form", ["PNG", "WEBP", "JPEG", "GIF", "BMP", "TIFF"])
def test_a_picture_without_a_workflow_is_said_to_be_one(workspace, form, tmp_path):
    Pillow.new("RGB", (4, 4)).save(tmp_path / "a", form)
    with pytest.raises(Refused, match=r'"cat\.x" carries no workflow'):
        workspace.files.open_bytes((tmp_path / "a").read_bytes(), "cat.x")


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xfe", b"[1", b"{}", b"null"])
def test_other_bytes_are_refused_in_sentences(workspace, data):
    with pytest.raises(Refused) as refused:
        workspace.files.open_bytes(data)
    assert all(problem.sentence.endswith(".") for problem in refused.value.problems)


def test_a_picture_below_a_root_opens_as_a_workflow_without_a_file(workspace, folder, content):
    info = PngInfo()
    info.add_itxt("latentloom.workflow", json.dumps(content()))
    (folder / "workflows").mkdir(parents=True)
    Pillow.new("RGB", (4, 4)).save(folder / "workflows/a.png", pnginfo=info)
    opened = workspace.files.read("workflows/a.png")
    assert opened.content == content() and opened.path is None


# ---------------------------------------------------------------- many at once

_COUNT = """
import sys
from pathlib import Path
from latentloom.app.workspace.refusals import Conflict
from latentloom.app.workspace.workspace import Workspace

def count(folder):
    files, done = Workspace(Path(folder)).files, 0
    while done < 15:
        opened = files.read("workflows/a.json")
        content = opened.content
        content["nodes"]["prompt"]["settings"]["count"] += 1
        try:
            files.write("workflows/a.json", content, opened.etag)
            done += 1
        except Conflict:
            pass
"""


def test_no_save_is_lost_between_threads_and_processes(workspace, folder, content):
    begun = content()
    begun["nodes"]["prompt"]["settings"]["count"] = 0
    workspace.files.write(PATH, begun, None)
    command = [sys.executable, "-c", f"{_COUNT}\ncount(sys.argv[1])", str(folder)]
    processes = [subprocess.Popen(command) for _ in range(2)]
    names: dict[str, Any] = {}
    exec(_COUNT, names)
    threads = [threading.Thread(target=names["count"], args=(folder,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait(120) for process in processes] == [0, 0]
    assert workspace.files.read(PATH).content["nodes"]["prompt"]["settings"]["count"] == 60
    assert len(workspace.versions.list(PATH)) >= 50


def test_of_many_that_make_the_same_file_one_wins(workspace, content):
    outcomes = []

    def work(number):
        try:
            workspace.files.write(PATH, content(str(number)), None)
            outcomes.append(number)
        except Conflict:
            outcomes.append(None)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [number for number in outcomes if number is not None]
    assert workspace.files.read(PATH).content == content(str(winner))
