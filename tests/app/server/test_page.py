"""The built canvas, shared workflows, and what is shown while Gradio is not there."""

import asyncio
import sys
import threading
from types import ModuleType

import pytest
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from serving import HOST, WORKFLOW, app_of
from starlette.testclient import TestClient

from latentloom.app.canvas import component
from latentloom.app.server import page
from latentloom.app.server.access import Access

PERSON = {"accept": "text/html"}


class Editor(ModuleType):
    """Stands for Gradio's pages."""

    def __init__(self) -> None:
        super().__init__("latentloom.app.editor")
        self.may_go_on = threading.Event()
        self.fault: Exception | None = None

    def mount(self, app: FastAPI, workspace, queue) -> None:
        assert asyncio.get_running_loop()  # Gradio leaves loops open where there is none
        self.may_go_on.wait(30)
        if self.fault is not None:
            raise self.fault
        app.add_api_route("/{path:path}", lambda path: PlainTextResponse(f"gradio {path}"))


@pytest.fixture
def editor(monkeypatch):
    editor = Editor()
    monkeypatch.setitem(sys.modules, editor.__name__, editor)
    monkeypatch.setattr(page, "HEAD_START", 0)
    yield editor
    editor.may_go_on.set()


@pytest.fixture
def client(tmp_path, editor):
    with TestClient(app_of(tmp_path, Access(), page=True), base_url=f"http://{HOST}") as client:
        yield client
        editor.may_go_on.set()


def answered(client, status: int, path: str = "/app"):
    for _ in range(1000):
        if (response := client.get(path, headers=PERSON)).status_code == status:
            return response
    raise AssertionError(response.status_code)


def test_the_canvas_is_shown_before_gradio_is_there_and_then_by_gradio(client, editor):
    page = client.get("/", headers=PERSON)
    assert page.status_code == 200 and "/canvas/" in page.text and "<title>Latentloom</title>" in page.text
    editor.may_go_on.set()
    answered(client, 200)
    assert client.get("/", headers=PERSON).text == "gradio "


def test_the_icon_needs_no_gradio(client):
    assert client.get("/favicon.ico").headers["content-type"] == "image/svg+xml"


def test_a_canvas_that_was_not_built_is_told(client, tmp_path, monkeypatch):
    monkeypatch.setattr(component, "STATIC", tmp_path)
    page = client.get("/", headers=PERSON)
    assert page.status_code == 500 and "build_backend.py builds it" in page.text


def test_while_gradio_is_imported_the_api_answers_and_its_pages_ask_again(client, editor):
    starting = client.get("/app", headers=PERSON)
    assert starting.status_code == 503 and 'http-equiv="refresh"' in starting.text
    assert client.get("/config").json()["problems"][0]["sentence"].endswith("ask again in a second.")
    assert client.get("/api/info").status_code == 200
    editor.may_go_on.set()
    assert answered(client, 200).text == "gradio app"


def test_gradio_answers_what_no_other_route_does(client, editor):
    editor.may_go_on.set()
    assert answered(client, 200, "/gradio_api/x").text == "gradio gradio_api/x"
    assert client.get("/api/nothing").json()["problems"] and client.get("/api").status_code == 404


def test_a_page_that_cannot_be_built_is_told(client, editor):
    editor.fault = RuntimeError("The page is not <built>.")
    editor.may_go_on.set()
    assert "The page is not &lt;built&gt;." in answered(client, 500).text
    assert client.get("/api/info").status_code == 200


def test_a_shared_workflow_has_a_page(client):
    link = client.post("/api/shares", json={"workflow": WORKFLOW}).json()
    page = client.get(link["url"]).text
    assert "<title>Count · Latentloom</title>" in page and f'"share": "{link["token"]}"' in page
    assert client.get("/share/nothing").status_code == 404


def test_the_bundle_is_kept_by_browsers_under_its_version(client, tmp_path, monkeypatch):
    bundle = tmp_path / "static"
    bundle.mkdir()
    (bundle / "editor.mjs").write_text("export {}" * 1000)
    (bundle / "editor.css").write_text("")
    monkeypatch.setattr(page, "BUNDLE", bundle)
    with TestClient(app_of(tmp_path / "other", Access(), page=True), base_url=f"http://{HOST}") as client:
        script, style = client.get("/canvas/editor.mjs?v=1"), client.get("/canvas/editor.css")
        assert script.headers["content-type"].startswith("text/javascript")
        assert script.headers["content-encoding"] == "gzip" and script.text == "export {}" * 1000
        assert "immutable" in script.headers["cache-control"] and style.headers["cache-control"] == "no-cache"
        assert client.get("/canvas/editor.css", headers={"if-none-match": style.headers["etag"]}).status_code == 304
        assert client.get("/canvas/../../pyproject.toml").status_code in (404, 503)
