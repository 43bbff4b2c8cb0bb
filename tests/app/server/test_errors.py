"""Whatever goes wrong, the answer holds sentences in one shape."""

import pytest
from serving import client_of


@pytest.fixture
def client(tmp_path):
    with client_of(tmp_path, raise_server_exceptions=False) as client:
        yield client


def told(response, status):
    assert response.status_code == status, response.text
    problems = response.json()["problems"]
    assert problems and all(set(p) == {"sentence", "node", "port", "setting", "needed"} for p in problems)
    assert all(problem["sentence"].endswith(".") for problem in problems), problems
    return [problem["sentence"] for problem in problems]


def test_nothing_there(client):
    assert told(client.get("/api/nothing"), 404) == [
        'There is nothing at "/api/nothing"; /api/docs shows what there is.'
    ]
    assert "none.json" in told(client.get("/api/files/workflows/none.json"), 404)[0]
    told(client.get("/api/templates/none"), 404)
    told(client.get("/api/runs/none"), 404)
    told(client.get("/api/drafts/none-such-draft"), 404)
    told(client.get("/api/shares/none"), 404)
    told(client.get("/api/version/12345"), 404)
    told(client.get("/api/previews/none.webp"), 404)
    told(client.get("/api/outputs/none.png"), 404)
    told(client.get("/api/inputs/none.png"), 404)


def test_a_method_a_route_does_not_take(client):
    assert told(client.patch("/api/jobs"), 405) == ['"/api/jobs" does not take PATCH; /api/docs shows what it takes.']
    assert "does not take PUT" in told(client.put("/api/queue"), 405)[0]


def test_a_body_that_is_none(client):
    assert (
        "not JSON" in told(client.post("/api/jobs", content=b"{", headers={"content-type": "application/json"}), 422)[0]
    )
    assert told(client.post("/api/jobs"), 422) == ["The body is missing: it must be JSON."]
    assert told(client.post("/api/queue", json={"paused": "perhaps"}), 422)[0].startswith(
        '"paused" in the body: it should'
    )
    assert "limit" in told(client.get("/api/runs?limit=0"), 422)[0]
    assert told(client.get("/api/version/abc"), 422)[0].startswith('"id" in the address: it should be a valid integer')
    assert told(client.post("/api/uploads"), 422) == ['"file" is missing in the body.']
    assert "input" in told(client.get("/api/choices/passwords"), 422)[0]


@pytest.mark.parametrize(
    "path", ["../secret", "..%2Fsecret", "/etc/passwd", "%2Fetc%2Fpasswd", "a/../../b", "C:\\x", "a%00b"]
)
@pytest.mark.parametrize("route", ["files", "inputs", "outputs", "previews", "templates"])
def test_paths_stay_inside(client, tmp_path, route, path):
    (tmp_path.parent / "secret").write_text("{}")
    response = client.get(f"/api/{route}/{path}")
    assert response.status_code in (404, 422), response.text
    told(response, response.status_code)


def test_a_fault_is_a_sentence_without_a_traceback(client):
    def broken():
        raise RuntimeError("the sky fell")

    client.app.state.workspace.files.list = broken
    [sentence] = told(client.get("/api/files"), 500)
    assert "the sky fell" in sentence and "Traceback" not in sentence and "File" not in sentence


def test_too_large(client):
    def body():
        for _ in range(70):
            yield bytes(1 << 20)

    assert "larger than" in told(client.post("/api/open", content=body()), 413)[0]
    form = {"file": ("a.png", bytes(70 << 20), "image/png")}
    assert "larger than" in told(client.post("/api/uploads", files=form), 413)[0]
