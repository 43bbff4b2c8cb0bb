"""Files over HTTP: saved only over what was read, renamed, brought back, opened from anything."""

import json

import pytest
from serving import WORKFLOW, client_of

PATH = "/api/files/workflows/portraits/a.json"
CHANGED = {**WORKFLOW, "name": "Changed"}


@pytest.fixture
def client(tmp_path):
    with client_of(tmp_path) as client:
        yield client


def save(client, content=WORKFLOW, etag=None, label=None):
    headers = {"if-match": f'"{etag}"'} if etag else {"if-none-match": "*"}
    return client.put(PATH, json={"content": content, **({"label": label} if label else {})}, headers=headers)


def test_a_file_is_saved_listed_and_opened(client):
    saved = save(client).json()
    assert saved["path"] == "workflows/portraits/a.json"
    opened = client.get(PATH).json()
    assert opened["content"] == WORKFLOW and opened["etag"] == saved["etag"] and opened["writable"]
    assert saved["path"] in [file["path"] for file in client.get("/api/files").json()["files"]]


def test_nobody_is_overwritten(client):
    first = save(client).json()["etag"]
    again = save(client)
    assert again.status_code == 412 and again.json()["etag"] == first and again.json()["problems"][0]["sentence"]
    second = save(client, CHANGED, first).json()["etag"]
    late = save(client, WORKFLOW, first)
    assert late.status_code == 412 and late.json()["etag"] == second
    assert client.get(PATH).json()["content"] == CHANGED
    assert client.delete(PATH, headers={"if-match": first}).status_code == 412
    unsaid = client.put(PATH, json={"content": WORKFLOW})
    assert unsaid.status_code == 428 and "If-Match" in unsaid.json()["problems"][0]["sentence"]


def test_states_are_kept_named_and_restored(client):
    first = save(client, label="first").json()["etag"]
    second = save(client, CHANGED, first).json()["etag"]
    versions = client.get("/api/versions/workflows/portraits/a.json").json()["versions"]
    assert [version["label"] for version in versions][-1] == "first"
    old = versions[-1]["id"]
    opened = client.get(f"/api/version/{old}").json()
    assert opened["content"] == WORKFLOW and opened["etag"] == second
    assert client.put(f"/api/version/{old}/label", json={"label": "the first"}).json()["label"] == "the first"
    assert client.post(f"/api/version/{old}/restore", json={"etag": first}).status_code == 412
    assert client.post(f"/api/version/{old}/restore", json={"etag": second}).status_code == 200
    assert client.get(PATH).json()["content"] == WORKFLOW
    assert client.delete(PATH).json() == {"path": "workflows/portraits/a.json"}
    assert client.get(PATH).status_code == 404
    assert client.get(f"/api/version/{old}").json()["etag"] is None


def test_a_file_gets_another_name(client):
    save(client)
    moved = client.post(f"{PATH}/rename", json={"to": "workflows/b.json"}).json()
    assert moved["path"] == "workflows/b.json" and client.get(PATH).status_code == 404
    assert client.get("/api/files/workflows/b.json").json()["etag"] == moved["etag"]
    assert client.post(f"{PATH}/rename", json={"to": "workflows/c.json"}).status_code == 404


def test_what_ships_is_not_written(client):
    shipped = client.get("/api/files/shipped/text_to_image.json").json()
    assert not shipped["writable"]
    put = {"json": {"content": WORKFLOW}, "headers": {"if-match": shipped["etag"]}}
    assert client.put("/api/files/shipped/text_to_image.json", **put).status_code == 422
    assert client.delete("/api/files/shipped/text_to_image.json").status_code == 422


def test_bytes_are_opened_raw_or_in_a_form(client):
    data = json.dumps(WORKFLOW).encode()
    for answer in (
        client.post("/api/open", content=data),
        client.post("/api/open", content=data, headers={"content-type": "image/png"}),
        client.post("/api/open", files={"file": ("a.json", data)}),
    ):
        assert answer.status_code == 200, answer.text
        assert answer.json()["content"] == WORKFLOW and answer.json()["path"] is None
    assert client.post("/api/open", content=b"no workflow").status_code == 422
    refused = client.post("/api/open", files={"other": ("a.json", data)})
    assert refused.status_code == 422 and '"file"' in refused.json()["problems"][0]["sentence"]
