"""Every route, file and socket of a protected server, ours, Gradio's and mounted ones, is closed to strangers."""

import re
import time
from collections.abc import Iterator

import pytest
from fastapi.routing import iter_route_contexts
from serving import HOST, client_of
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse

from latentloom.app.server.access import Access

REFUSED = (401, 403)
NOTHING_GOOD = ({}, {"authorization": "Basic c2VzYW1lOnNlc2FtZQ=="}, {"cookie": "latentloom-7801=forged"})
"""What strangers send. Guesses at the secret are another test's: they are slowed."""


@pytest.fixture(scope="module")
def client(tmp_path_factory) -> Iterator[TestClient]:
    """A whole server, with Gradio's pages."""
    access = Access(listen=True, password="sesame", token="token")
    with client_of(tmp_path_factory.mktemp("workspace"), access, page=True, follow_redirects=False) as client:
        until = time.monotonic() + 60
        known = {"authorization": "Bearer token"}
        while client.get("/config", headers=known).status_code == 503 and time.monotonic() < until:
            time.sleep(0.1)
        assert client.get("/config", headers=known).status_code == 200  # Gradio answers those who may ask
        yield client


def places(routes, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Method and path of each route, those of mounted applications too; `WS` for sockets."""
    for route in iter_route_contexts(routes):
        inner = getattr(route, "original_route", route)
        path = prefix + re.sub(r"\{[^}]*\}", "x", str(getattr(route, "path", None) or getattr(inner, "path", "")))
        if isinstance(inner, Mount):
            yield "GET", f"{path}/x"
            app = getattr(inner.app, "app", inner.app)  # Gradio's stand behind `Pages`
            yield from places(getattr(app, "routes", []), path)
        elif isinstance(inner, WebSocketRoute):
            yield "WS", path
        elif isinstance(inner, Route):
            yield from ((method, path) for method in sorted(inner.methods or ()))


def test_strangers_come_nowhere(client):
    found = sorted(set(places(client.app.routes)))
    answers = [(method, path, status) for method, path in found for status in statuses(client, method, path)]
    assert [answer for answer in answers if answer[2] not in REFUSED] == []
    # that the walk saw all there is
    paths = {path for _, path in found}
    assert {"/api/jobs/x", "/api/files/x", "/api/openapi.json", "/api/docs", "/api/docs/assets/x"} <= paths
    assert {"/gradio_api/queue/join", "/gradio_api/file=x", "/gradio_api/upload", "/config", "/app"} <= paths
    assert {"/canvas/x", "/share/x", "/"} <= paths and ("WS", "/api/events") in found
    assert sum(path.startswith("/api/") for path in paths) > 30 and sum("gradio" in path for path in paths) > 30


def statuses(client: TestClient, method: str, path: str) -> Iterator[int]:
    for headers in NOTHING_GOOD:
        if method == "WS":
            with (
                pytest.raises(WebSocketDenialResponse) as denied,
                client.websocket_connect(f"ws://{HOST}{path}", headers=headers),
            ):
                pass
            yield denied.value.status_code
        else:
            yield client.request(method, path, headers=headers).status_code


def test_what_is_there_and_what_is_not_look_the_same(client):
    there, not_there = client.get("/api/jobs"), client.get("/api/nothing")
    assert there.content == not_there.content and there.status_code == not_there.status_code == 401


def test_a_page_that_signed_in_is_served(client):
    assert client.post("/login", data={"secret": "sesame"}).status_code == 303
    assert client.get("/", headers={"accept": "text/html"}).status_code == 200
    assert client.get("/app", headers={"accept": "text/html"}).status_code == 200
    assert client.get("/api/openapi.json").status_code == 200
    assert client.get("/api/nothing").status_code == 404
    assert client.get("/nothing/here").status_code == 404
