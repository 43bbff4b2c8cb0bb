"""The pages a person sees: the canvas, a shared workflow, Gradio's pages, and the built files they load."""

from __future__ import annotations

import asyncio
import logging
import mimetypes
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse
from starlette.responses import Response
from starlette.routing import Match, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from ..canvas import component
from ..jobs.queue import Queue
from ..workspace.workspace import Workspace
from . import pages
from .errors import problem_response
from .parts import ItsWorkspace

BUNDLE = Path(__file__).resolve().parents[1] / "canvas" / "static"
ICON = Path(__file__).resolve().parents[1] / "icon.svg"

HEAD_START = 2.0
"""Seconds in which nothing large is imported: a browser that is opened with the server loads the canvas then."""

_log = logging.getLogger("latentloom.server")

# What a system's own tables say of these endings differs, and browsers load no module under another type.
mimetypes.add_type("text/javascript", ".mjs")
mimetypes.add_type("text/javascript", ".js")

router = APIRouter(include_in_schema=False)


@router.get("/share/{token}")
def shared(token: str, workspace: ItsWorkspace) -> HTMLResponse:
    """The canvas with a shared workflow, read only."""
    name = workspace.shares.get(token).name
    return _canvas(f"{name} · Latentloom" if name else "Latentloom", share=token)


@router.get("/favicon.ico")
def icon() -> FileResponse:
    return FileResponse(ICON)


def _canvas(title: str, **options: Any) -> HTMLResponse:
    try:
        # Browsers ask each time, as it names the state of the bundle.
        return HTMLResponse(component.page(title, **options), headers={"Cache-Control": "no-cache"})
    except component.PageMissing as error:
        return HTMLResponse(pages.failed(str(error)), 500)


class Bundle(StaticFiles):
    """The built canvas. What is asked for with its version stays as it is, so browsers need not ask again."""

    def __init__(self) -> None:
        super().__init__(directory=BUNDLE, check_dir=False)

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        versioned = b"v=" in scope["query_string"]
        response.headers["Cache-Control"] = "private, max-age=31536000, immutable" if versioned else "no-cache"
        return response


class Pages:
    """Gradio's pages, prepared in a thread while the server already answers: importing Gradio takes seconds.

    Until then `/` is the canvas without Gradio around it, which looks and works the same. `first` is what is wanted
    sooner; both at once would take as long, and the sooner one longer.
    """

    def __init__(self, workspace: Workspace, queue: Queue, first: Callable[[], None]) -> None:
        self._workspace, self._queue, self._first = workspace, queue, first
        self._app: ASGIApp | None = None
        self._failure = ""

    @property
    def app(self) -> ASGIApp | None:
        """What answers, once it is ready."""
        return self._app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is not None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._not_yet(Request(scope))(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1013})

    def _not_yet(self, request: Request) -> Response:
        if request.url.path == "/":
            return _canvas("Latentloom")
        if "text/html" not in request.headers.get("accept", ""):
            return problem_response(503, self._failure or "The page is being prepared; ask again in a second.")
        if self._failure:
            return HTMLResponse(pages.failed(self._failure), 500)
        return HTMLResponse(pages.starting(), 503, {"Retry-After": "1", "Cache-Control": "no-store"})

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Begin to prepare the pages; they live as long as the context."""
        done = asyncio.Event()
        living = asyncio.create_task(self._live(done))
        try:
            yield
        finally:
            done.set()
            await living

    async def _live(self, done: asyncio.Event) -> None:
        """In one task from beginning to end, as what Gradio opens must be closed where it was opened."""
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), HEAD_START)
                return
            await asyncio.to_thread(self._first)
            # Where no loop runs Gradio makes many and closes none, so its thread gets one.
            await asyncio.to_thread(asyncio.run, self._mount(app))
            async with app.router.lifespan_context(app):
                self._app = app
                await done.wait()
        except Exception as error:
            _log.exception("The page cannot be shown")
            self._failure = f"The page cannot be shown. {error}"

    async def _mount(self, app: FastAPI) -> None:
        from ..editor import mount

        mount(app, self._workspace, self._queue)


class BesideApi(Mount):
    """Answers whatever no other route does, except below /api, where what is not there is answered with problems."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        path = scope.get("path", "")
        return (Match.NONE, {}) if path == "/api" or path.startswith("/api/") else super().matches(scope)
