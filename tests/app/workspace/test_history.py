"""Runs are kept as they were, found by their words, and nothing they show is removed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image as Pillow

from latentloom.app.jobs.wire import NodeState, TableOutput
from latentloom.app.workspace.history import INTERRUPTED
from latentloom.app.workspace.refusals import Missing
from latentloom.app.workspace.workspace import Workspace
from latentloom.graph.problems import Refused


def ids(found):
    return [run.id for run in found.runs]


@pytest.fixture
def keep(workspace, job):
    """Records a run from beginning to end."""

    def record(id="j1", text="a red circle", lock=None, files=(), **more):  # noqa: A002
        made = job(id, text)
        workspace.history.submitted(made.model_copy(update={k: more[k] for k in ("submitted",) if k in more}))
        values = {"status": "done", "started": 1001.0, "ended": 1003.5, **more}
        workspace.history.ended(made.model_copy(update=values), lock or {}, files)

    return record


def test_a_run_is_kept_from_its_submission(workspace, job):
    workspace.history.submitted(job(file="workflows/a.json", device="cpu"))
    (run,) = workspace.history.search().runs
    assert (run.id, run.name, run.status, run.file) == ("j1", "Circle", "queued", "workflows/a.json")
    assert (run.submitted, run.seconds, run.error, run.pictures) == (1000.0, None, "", [])


def test_at_its_end_all_of_it_is_kept(workspace, keep, content, preview):
    nodes = {
        "decode": preview(),
        "grade": NodeState(status="failed", error="Nothing to grade.", facts={"loss": float("nan"), "steps": 3}),
        "table": NodeState(status="done", outputs=(TableOutput(name="t", columns=["a"], rows=[[1], ["x"]]),)),
    }
    keep(nodes=nodes, lock={"torch": "2.13"}, files=["a/b.png"], goals=["decode"], device="cpu", status="failed")
    found = workspace.history.get("j1")
    assert found.workflow == content() and found.goals == ["decode"] and found.lock == {"torch": "2.13"}
    assert found.files == ["a/b.png"] and (found.device, found.started, found.ended) == ("cpu", 1001.0, 1003.5)
    assert found.run.status == "failed" and found.run.seconds == 2.5
    assert found.nodes["decode"]["seconds"] == 1.5 and found.nodes["decode"]["preview"] is None
    assert found.nodes["grade"]["error"] == "Nothing to grade."
    assert found.nodes["grade"]["facts"] == {"loss": None, "steps": 3}
    assert found.nodes["table"]["outputs"][0]["rows"] == [[1], ["x"]]


def test_the_workflow_is_exactly_what_ran(workspace, job, content):
    odd = content("ü 日本 \u2028", unknown={"kept": [1, 2.5, None, True]}, lock={"torch": "1"})
    odd["nodes"]["prompt"] |= {"at": [1.5, -2], "mode": "mute", "more": {}}
    workspace.history.submitted(job().model_copy(update={"workflow": odd}))
    found = workspace.history.get("j1").workflow
    assert found == odd and list(found) == list(odd) and list(found["nodes"]["prompt"]) == list(odd["nodes"]["prompt"])


def test_pictures_have_thumbnails_of_their_own(workspace, keep, preview):
    keep(nodes={"big": preview("big.webp", 600), "small": preview("small.webp", 100)})
    big, small = workspace.history.search().runs[0].pictures
    assert (big.node, big.url, big.width, big.height, big.full) == ("big", "/api/previews/big.webp", 600, 300, None)
    assert small.thumbnail == small.url and big.thumbnail != big.url
    with Pillow.open(workspace.places.previews / big.thumbnail.rpartition("/")[2]) as thumbnail:
        assert thumbnail.size == (256, 128)


def test_a_preview_that_is_damaged_or_gone_stands_for_itself(workspace, keep, preview):
    nodes = {"gone": preview("gone.webp"), "bad": preview("bad.webp")}
    (workspace.places.previews / "gone.webp").unlink()
    (workspace.places.previews / "bad.webp").write_bytes(b"RIFF")
    keep(nodes=nodes)
    assert all(picture.thumbnail == picture.url for picture in workspace.history.search().runs[0].pictures)


def test_recording_again_takes_the_place_of_the_first(workspace, keep):
    keep(text="one", error="first")
    keep(text="two")
    assert ids(workspace.history.search()) == ["j1"] and ids(workspace.history.search("one")) == []
    assert ids(workspace.history.search("two")) == ["j1"]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("red", ["j1"]),
        ("RED  circle", ["j1"]),
        ("circ", ["j3", "j2", "j1"]),
        ("blue circle", ["j2"]),
        ("red blue", []),
        ("encode_prompt", ["j3", "j2", "j1"]),
        ("failed", ["j2"]),
        ("memory", ["j2"]),
        ("portraits/a.json", ["j3"]),
        ("out/zebra", ["j3"]),
        ("grün", ["j3"]),
        ("GRÜN", ["j3"]),
        ("100%", ["j3"]),
        ("100_", []),
        ("'", []),
        ("  ", ["j3", "j2", "j1"]),
        ("special", ["j3"]),
    ],
)
def test_runs_are_found_by_their_words(workspace, keep, search, found):
    keep("j1", "a red circle", submitted=1.0)
    keep("j2", "a blue circle", submitted=2.0, status="failed", error="Out of memory.")
    more = {"name": "Special", "file": "workflows/portraits/a.json"}
    keep("j3", "100% GRÜNE circles", submitted=3.0, files=["out/zebra_1.png"], **more)
    assert ids(workspace.history.search(search)) == found


def test_words_in_lists_and_titles_are_found_too(workspace, job, content):
    shown = content()
    shown["nodes"]["prompt"] |= {"settings": {"texts": ["zebra", 3]}, "title": "Lion"}
    workspace.history.submitted(job().model_copy(update={"workflow": shown}))
    assert ids(workspace.history.search("zebra")) == ids(workspace.history.search("lion")) == ["j1"]


def test_pages_lose_and_repeat_nothing_also_at_the_same_time(workspace, job):
    for number in range(25):
        workspace.history.submitted(job(f"j{number:02}", submitted=float(number // 4)))
    met, before = [], None
    while True:
        page = workspace.history.search("circle", before=before, limit=5)
        met += page.runs
        if not page.more:
            break
        before = page.runs[-1].submitted
    assert len(met) == 25 == len({run.id for run in met})
    assert [run.submitted for run in met] == sorted((run.submitted for run in met), reverse=True)


def test_a_run_is_forgotten_with_what_only_it_showed(workspace, keep, preview):
    shared, own = preview("shared.webp"), preview("own.webp")
    keep("j1", nodes={"a": shared, "b": own}, submitted=1.0)
    keep("j2", nodes={"a": shared}, submitted=2.0)
    for file in workspace.places.previews.iterdir():
        os.utime(file, (0, 0))
    small = {run.pictures[0].thumbnail.rpartition("/")[2] for run in workspace.history.search().runs}
    workspace.history.delete("j1")
    assert ids(workspace.history.search("circle")) == ["j2"]
    assert {file.name for file in workspace.places.previews.iterdir()} == {"shared.webp", *small}
    assert workspace.history.get("j2").workflow
    for ask in (workspace.history.get, workspace.history.delete):
        with pytest.raises(Missing):
            ask("j1")


def test_previews_of_shares_young_ones_and_those_of_runs_under_way_stay(workspace, keep, job, preview, content):
    for name in ("shared.webp", "old.webp", "young.webp"):
        preview(name)
        if name != "young.webp":
            os.utime(workspace.places.previews / name, (0, 0))
    workspace.shares.create(content(), "x", "/api/previews/shared.webp")
    workspace.history.submitted(job())
    assert workspace.history.prune() == 0
    workspace.history.ended(job(status="cancelled"), {}, [])
    assert workspace.history.prune() == 1
    assert {file.name for file in workspace.places.previews.iterdir()} == {"shared.webp", "young.webp"}


def test_a_run_under_way_is_not_forgotten(workspace, job):
    workspace.history.submitted(job())
    with pytest.raises(Refused, match="not over yet"):
        workspace.history.delete("j1")


def test_runs_are_compared(workspace, keep):
    keep("j1", "a red circle")
    keep("j2", "a blue circle")
    found = workspace.history.compare("j1", "j2")
    assert (found.a.id, found.b.id) == ("j1", "j2")
    assert [(change["before"], change["after"]) for change in found.difference.changed] == [
        ("a red circle", "a blue circle")
    ]
    with pytest.raises(Missing):
        workspace.history.compare("j1", "j3")


# ---------------------------------------------------------------- servers that end


_SERVE = """
import json, sys, time
from pathlib import Path
from latentloom.app.jobs.wire import JobDetail
from latentloom.app.workspace.workspace import Workspace
workspace = Workspace(Path(sys.argv[1]))
content = {"format": 1, "nodes": {}, "wires": []}
for id_, status in (("waits", "queued"), ("runs", "running"), ("ended", "done")):
    workspace.history.submitted(JobDetail(id=id_, name="x", submitted=1.0, workflow=content, status=status))
print("ready", flush=True)
time.sleep(60)
"""


def test_runs_of_a_server_that_was_killed_are_interrupted_and_those_of_one_at_work_are_not(folder):
    server = subprocess.Popen([sys.executable, "-c", _SERVE, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None and server.stdout.readline() == "ready\n"
        beside = Workspace(folder)
        assert {run.id: run.status for run in beside.history.search().runs} == {
            "waits": "queued",
            "runs": "running",
            "ended": "done",
        }
        beside.close()
    finally:
        server.send_signal(signal.SIGKILL)
        server.communicate()
    after = Workspace(folder)
    found = {run.id: run for run in after.history.search().runs}
    assert [found[id_].status for id_ in ("waits", "runs", "ended")] == ["interrupted", "interrupted", "done"]
    assert found["runs"].error == INTERRUPTED and found["ended"].error == ""
    assert ids(after.history.search("interrupted")) == ["runs", "waits"]
    after.history.delete("runs")
    assert list((folder / ".latentloom/sessions").iterdir()) == []
    after.close()


def test_runs_of_a_workspace_that_was_closed_are_interrupted(folder, job):
    first = Workspace(folder)
    first.history.submitted(job())
    first.close()
    again = Workspace(folder)
    assert again.history.search().runs[0].status == "interrupted"
    again.close()


# ---------------------------------------------------------------- many


def test_a_search_among_thousands_is_quick(workspace, job):
    from latentloom.app.workspace.schema import run_words, runs

    workspace.history.submitted(job("first", "a zebra", submitted=0.5))
    with workspace._database.writing() as connection:
        row = dict(connection.execute(runs.select()).mappings().one())
        text = connection.execute(run_words.select()).one().words.replace("zebra", "circle " * 150)
        many = [f"r{number}" for number in range(10_000)]
        connection.execute(runs.insert(), [{**row, "id": id_, "submitted": float(n + 1)} for n, id_ in enumerate(many)])
        connection.execute(run_words.insert(), [{"run": id_, "words": text} for id_ in many])
    for search, found in (("zebra", 1), ("circle encode", 50), ("nothing like it", 0), ("", 50)):
        begun = time.monotonic()
        assert len(workspace.history.search(search).runs) == found
        assert time.monotonic() - begun < 1
