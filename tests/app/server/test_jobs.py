"""Submitting, watching and ordering jobs over HTTP."""

import threading
import time

import pytest
from serving import WORKFLOW, client_of, submit


@pytest.fixture
def client(tmp_path):
    with client_of(tmp_path) as client:
        yield client


def sentences(response, status):
    assert response.status_code == status, response.text
    return " ".join(problem["sentence"] for problem in response.json()["problems"])


def test_a_job_is_taken_and_told(client):
    job = client.post("/api/jobs", json={"workflow": WORKFLOW, "file": "workflows/a.json", "goals": ["one"]}).json()
    assert (job["status"], job["name"], job["file"], job["client"]) == ("queued", "Count", "workflows/a.json", None)
    detail = client.get(f"/api/jobs/{job['id']}").json()
    assert detail["workflow"] == WORKFLOW and detail["goals"] == ["one"] and list(detail["nodes"]) == ["one"]
    assert client.get("/api/jobs").json() == {"paused": False, "jobs": [job]}


def test_the_tab_is_told_by_its_header_or_in_the_body(client):
    assert client.get(f"/api/jobs/{submit(client)}").json()["client"] == "tab"
    assert client.get(f"/api/jobs/{submit(client, client='named')}").json()["client"] == "named"


def test_what_cannot_run_is_refused_with_every_reason(client):
    broken = {**WORKFLOW, "nodes": {"one": {"type": "numbr"}, "two": {"type": "number", "settings": {"value": "x"}}}}
    told = sentences(client.post("/api/jobs", json={"workflow": broken, "goals": ["one", "two"]}), 422)
    assert 'Did you mean "number"?' in told and "value" in told
    assert "format number" in sentences(client.post("/api/jobs", json={"workflow": {"nodes": {}}}), 422)
    assert '"workflow" is missing in the body.' in sentences(client.post("/api/jobs", json={}), 422)
    assert client.get("/api/jobs").json()["jobs"] == []


def test_jobs_there_are_not(client):
    for method, path in [("GET", ""), ("DELETE", ""), ("POST", "/move"), ("GET", "/result")]:
        body = {"before": None} if method == "POST" else None
        assert "nobody" in sentences(client.request(method, f"/api/jobs/nobody{path}", json=body), 404)


def test_order_pause_and_clear(client):
    first, second, third = submit(client), submit(client), submit(client, front=True)
    assert [job["id"] for job in client.get("/api/jobs").json()["jobs"]] == [third, first, second]
    moved = client.post(f"/api/jobs/{second}/move", json={"before": third}).json()["jobs"]
    assert [job["id"] for job in moved] == [second, third, first]
    assert "missing" in sentences(client.post(f"/api/jobs/{second}/move", json={"before": "missing"}), 404)
    assert client.post("/api/queue", json={"paused": True}).json()["paused"] is True
    assert client.post("/api/queue", json={}).json()["paused"] is True
    assert client.delete(f"/api/jobs/{first}").json()["status"] == "cancelled"
    cleared = client.post("/api/queue", json={"clear": True, "paused": False}).json()
    assert cleared["paused"] is False and {job["status"] for job in cleared["jobs"]} == {"cancelled"}


def test_a_result_names_outputs_and_files(client):
    id_, queue = submit(client), client.app.state.queue
    facts = {"files": ["day/a b.png"]}
    queue.set_node(id_, "shown", status="done", outputs=[{"kind": "text", "name": "t", "text": "1"}], facts=facts)
    queue.set(id_, status="done")
    assert client.get(f"/api/jobs/{id_}/result").json() == {
        "status": "done",
        "error": "",
        "outputs": {"shown": [{"kind": "text", "name": "t", "text": "1"}]},
        "files": [{"name": "day/a b.png", "url": "/api/outputs/day/a%20b.png"}],
    }


def test_a_result_can_be_waited_for(client):
    id_ = submit(client)
    queue = client.app.state.queue
    began = time.monotonic()
    assert client.get(f"/api/jobs/{id_}/result?wait=0.2").json()["status"] == "queued"
    assert time.monotonic() - began > 0.2
    threading.Timer(0.3, lambda: queue.set(id_, status="failed", error="No.")).start()
    waited = client.get(f"/api/jobs/{id_}/result?wait=30").json()
    assert (waited["status"], waited["error"]) == ("failed", "No.") and time.monotonic() - began < 10
    assert client.get(f"/api/jobs/{id_}/result?wait=30").json()["status"] == "failed"  # at once
    assert not client.app.state.hub._endings
    assert "wait" in sentences(client.get(f"/api/jobs/{id_}/result?wait=999"), 422)


def test_many_wait_without_holding_up_others(client):
    id_ = submit(client)
    answers = []
    waiting = [
        threading.Thread(target=lambda: answers.append(client.get(f"/api/jobs/{id_}/result?wait=20").json()["status"]))
        for _ in range(60)  # more than there are threads for requests
    ]
    for thread in waiting:
        thread.start()
    assert client.get("/api/jobs").status_code == 200
    client.app.state.queue.cancel(id_)
    for thread in waiting:
        thread.join(20)
    assert answers == ["cancelled"] * 60
