"""The Python client against a server in this process, on a real socket."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest
from serving import WORKFLOW, QuietQueue, running
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from latentloom.app.client import Client, ServerError
from latentloom.app.server.access import Access
from latentloom.graph.problems import Refused
from latentloom.graph.workflow import Workflow

PREVIEW = "/api/previews/abc.webp"


@pytest.fixture
def server(tmp_path) -> Iterator[tuple[str, QuietQueue]]:
    with running(tmp_path / "workspace", Access(password="sesame")) as (url, app):
        yield url, app.state.queue


@pytest.fixture
def queue(server) -> QuietQueue:
    return server[1]


@pytest.fixture
def client(server) -> Iterator[Client]:
    with Client(server[0], token="sesame") as client:
        yield client


def test_a_workflow_is_submitted_with_settings(client, queue, tmp_path):
    file = tmp_path / "count.json"
    Workflow.of(WORKFLOW).save(file)
    for source in (file, str(file), WORKFLOW, Workflow.of(WORKFLOW)):
        job = client.submit(source, settings={"one.value": 7}, goals=["one"], front=True)
        detail = queue.known[job.id]
        assert detail.workflow["nodes"]["one"]["settings"] == {"value": 7} and list(detail.goals or ()) == ["one"]
        assert detail.file == (str(file) if source in (file, str(file)) else None)
    assert [job.id for job in client.jobs()] == list(queue.known)


def test_what_cannot_run_is_refused_before_or_by_the_server(client):
    with pytest.raises(Refused, match="no node"):
        client.submit(WORKFLOW, settings={"two.value": 1})
    with pytest.raises(Refused, match="There is no file"):
        client.submit("nowhere.json")
    with pytest.raises(ServerError, match="value") as refused:
        client.submit(WORKFLOW, settings={"one.value": -1})
    assert refused.value.status == 422 and refused.value.problems[0].node == "one"
    with pytest.raises(ServerError, match="no job") as refused:
        client.job("nobody").state()
    assert refused.value.status == 404


def test_a_server_that_does_not_know_us_or_is_not_there(server):
    with Client(server[0], token="wrong") as client, pytest.raises(ServerError) as refused:
        client.jobs()
    assert refused.value.status == 401
    with Client("http://127.0.0.1:9") as client, pytest.raises(ServerError, match="cannot be reached") as refused:
        client.jobs()
    assert refused.value.status == 0


def test_a_socket_of_a_stranger_is_refused_before_it_opens(server):
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws{server[0][4:]}/api/events")
    assert refused.value.response.status_code == 401 and b"problems" in (refused.value.response.body or b"")


def test_watching_gives_each_change_and_ends_with_the_job(client, queue):
    job = client.submit(WORKFLOW)
    watching = job.watch()
    assert next(watching).status == "queued"

    def work() -> None:
        until = time.monotonic() + 10
        while not client_hears(queue) and time.monotonic() < until:
            time.sleep(0.01)
        for done in range(1, 4):
            queue.set_node(job.id, "one", status="running", done=done, total=3)
            queue.set(job.id, status="running", progress=done / 4)
            time.sleep(0.05)
        queue.set_node(job.id, "one", status="done")
        queue.set(job.id, status="done", progress=1.0)

    worker = threading.Thread(target=work)
    worker.start()
    seen = list(watching)
    worker.join()
    assert [state.progress for state in seen if state.nodes["one"].status == "running"][-1] == 0.75
    assert {1, 2, 3} <= {state.nodes["one"].done for state in seen}
    assert seen[-1].status == "done" and seen[-1].nodes["one"].status == "done"
    assert all(before != after for before, after in pairwise(seen[:-1]))
    assert [state.status for state in job.watch()] == ["done"]


def client_hears(queue: QuietQueue) -> bool:
    hub = queue.listeners[0].__self__  # type: ignore[attr-defined]
    return any(listener.job is not None for listener in hub._listeners)


def test_waiting_cancelling_and_failing(client, queue):
    job = client.submit(WORKFLOW)
    with pytest.raises(TimeoutError, match=r"0\.1 s"):
        job.wait(0.1)
    threading.Timer(0.2, lambda: queue.set(job.id, status="failed", error="The node fell over.")).start()
    assert job.wait(20).error == "The node fell over."
    with pytest.raises(ServerError, match="fell over"):
        job.pictures()
    other = client.submit(WORKFLOW)
    assert other.cancel().status == "cancelled" == other.wait().status
    with pytest.raises(ServerError, match="was cancelled"):
        other.save("nowhere")


def test_files_are_saved_and_nothing_is_written_over(client, queue, tmp_path):
    output = queue.places.output
    output.mkdir(parents=True)
    (output / "day").mkdir()
    (output / "day/a.png").write_bytes(b"first")
    (output / "b.png").write_bytes(b"second")
    job = client.submit(WORKFLOW)
    queue.set_node(job.id, "shown", status="done", facts={"files": ["day/a.png", "b.png"]})
    queue.set(job.id, status="done")
    assert job.pictures() == {"day/a.png": b"first", "b.png": b"second"}
    saved = job.save(tmp_path / "new")
    assert saved == [tmp_path / "new/day/a.png", tmp_path / "new/b.png"]
    assert [path.read_bytes() for path in saved] == [b"first", b"second"]
    saved[0].unlink()
    saved[1].write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        job.save(tmp_path / "new")
    assert saved[1].read_bytes() == b"mine" and not saved[0].exists()


def test_what_is_only_shown_is_fetched_too(client, queue):
    queue.places.previews.mkdir(parents=True)
    (queue.places.previews / "abc.webp").write_bytes(b"picture")
    job = client.submit(WORKFLOW)
    shown = {"kind": "image", "name": "image", "url": PREVIEW, "width": 1, "height": 1}
    queue.set_node(job.id, "one", status="done", outputs=[shown, {"kind": "text", "name": "t", "text": "x"}, shown])
    queue.set(job.id, status="done")
    assert job.pictures() == {"one_1.webp": b"picture", "one_3.webp": b"picture"}


def test_a_server_that_names_files_elsewhere_writes_nothing(client, queue, tmp_path, monkeypatch):
    job = client.submit(WORKFLOW)
    queue.set(job.id, status="done")
    monkeypatch.setattr(type(job), "pictures", lambda self: {"../../evil.png": b"x"})
    with pytest.raises(ValueError, match="outside"):
        job.save(tmp_path / "new")
    assert not list(tmp_path.rglob("evil.png"))
