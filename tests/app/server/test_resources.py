"""Drafts, shares, templates, runs, and pictures over HTTP."""

import io

import pytest
from PIL import Image
from serving import WORKFLOW, client_of, submit


@pytest.fixture
def client(tmp_path):
    with client_of(tmp_path) as client:
        yield client


def png(width: int = 40, height: int = 20) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(written, "PNG")
    return written.getvalue()


def record(client, name: str = "Count", **changes) -> str:
    """The id of a run in the history."""
    id_ = submit(client, workflow={**WORKFLOW, "name": name})
    job = client.app.state.queue.known[id_].model_copy(
        update={"status": "done", "started": 1.0, "ended": 3.5, **changes}
    )
    history = client.app.state.workspace.history
    history.submitted(job)
    history.ended(job, {"torch": "2.0"}, ["a.png"])
    return id_


def test_drafts(client):
    draft = {"id": "draft-one", "saved": 1.0, "path": "workflows/a.json", "etag": "e", "content": WORKFLOW}
    kept = client.put("/api/drafts/draft-one", json=draft).json()
    assert kept["nodes"] == 2 and kept["path"] == "workflows/a.json"
    assert client.get("/api/drafts").json() == {"drafts": [kept]}
    assert client.get("/api/drafts/draft-one").json() == {**draft, "saved": kept["saved"]}
    assert client.delete("/api/drafts/draft-one").json() == {"id": "draft-one"}
    assert client.get("/api/drafts").json() == {"drafts": []}


def test_shares(client):
    link = client.post("/api/shares", json={"workflow": WORKFLOW})
    assert link.status_code == 201 and link.json()["url"] == f"/share/{link.json()['token']}"
    token = link.json()["token"]
    shown = client.get(f"/api/shares/{token}").json()
    assert shown["content"] == WORKFLOW and shown["name"] == "Count" and shown["picture"] is None
    assert [share["token"] for share in client.get("/api/shares").json()["shares"]] == [token]
    assert client.delete(f"/api/shares/{token}").status_code == 200
    assert client.get(f"/api/shares/{token}").status_code == 404
    assert client.post("/api/shares", json={"workflow": WORKFLOW, "run": "none"}).status_code == 404


def test_templates(client):
    templates = client.get("/api/templates").json()["templates"]
    assert "text_to_image" in [template["name"] for template in templates]
    opened = client.get("/api/templates/text_to_image").json()
    assert opened["path"] is None and opened["content"]["nodes"]
    pictured = [template for template in templates if template["picture"]]
    assert pictured
    for template in pictured:
        picture = client.get(template["picture"])
        assert picture.status_code == 200 and picture.headers["content-type"].startswith("image/")
    assert client.get("/api/templates/train/grade_shapes").status_code == 200


def test_runs_are_found_opened_compared_and_forgotten(client):
    one, two = record(client, "One"), record(client, "Two")
    assert {run["id"] for run in client.get("/api/runs").json()["runs"]} == {one, two}
    found = client.get("/api/runs?search=two&limit=1").json()
    assert [run["id"] for run in found["runs"]] == [two] and found["more"] is False
    assert client.get("/api/runs?limit=1").json()["more"] is True
    kept = client.get(f"/api/runs/{one}").json()
    assert kept["workflow"]["name"] == "One" and kept["lock"]["torch"] == "2.0" and kept["run"]["seconds"] == 2.5
    compared = client.get(f"/api/runs/compare?a={one}&b={two}").json()
    assert (compared["a"]["id"], compared["b"]["id"]) == (one, two) and compared["difference"]["changed"] == []
    assert client.delete(f"/api/runs/{one}").json() == {"id": one}
    assert client.get(f"/api/runs/{one}").status_code == 404


def test_the_result_of_a_job_the_queue_forgot_is_in_the_history(client):
    id_ = record(client)
    client.app.state.queue.known.clear()
    result = client.get(f"/api/jobs/{id_}/result").json()
    assert result["status"] == "done" and result["files"] == [{"name": "a.png", "url": "/api/outputs/a.png"}]


def test_uploads_become_choices_and_thumbnails(client):
    upload = client.post("/api/uploads", files={"file": ("../../evil.png", png(300, 100), "image/png")})
    assert upload.status_code == 201
    taken = upload.json()
    assert (taken["width"], taken["height"]) == (300, 100) and taken["path"].startswith("uploads/")
    assert "evil" not in taken["path"] and taken["path"] in client.get("/api/choices/input").json()["choices"]
    whole = client.get(f"/api/inputs/{taken['path']}")
    assert whole.headers["content-type"] == "image/png" and Image.open(io.BytesIO(whole.content)).size == (300, 100)
    small = client.get(f"/api/inputs/{taken['path']}?size=64")
    assert small.headers["content-type"] == "image/webp" and max(Image.open(io.BytesIO(small.content)).size) == 64
    assert client.post("/api/uploads", files={"file": ("a.png", b"no picture", "image/png")}).status_code == 422
    assert isinstance(client.get("/api/choices/models").json()["choices"], list)


def test_what_runs_made_is_served_from_its_folders_alone(client):
    places = client.app.state.workspace.places
    for folder, name in ((places.previews, "abc.webp"), (places.output, "day/a.png"), (places.output, "page.html")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(png())
    preview = client.get("/api/previews/abc.webp")
    assert preview.content == png() and "immutable" in preview.headers["cache-control"]
    output = client.get("/api/outputs/day/a.png")
    assert output.content == png() and output.headers["cache-control"] == "no-cache"
    assert "sandbox" in client.get("/api/outputs/page.html").headers["content-security-policy"]
    assert client.get("/api/outputs/day").status_code == 404
    (places.output / "link.png").symlink_to(places.output.parent.parent / "outside")
    (places.output.parent.parent / "outside").write_bytes(b"secret")
    assert client.get("/api/outputs/link.png").status_code == 422
