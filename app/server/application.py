"""The server: every route, behind one guard."""

from __future__ import annotations

import importlib.metadata
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware.gzip import GZipMiddleware

from ..jobs.queue import Queue
from ..workspace.workspace import MEMORY, Workspace
from . import about, drafts, events, files, jobs, pictures, runs, shares, templates
from . import page as shown
from .access import Access
from .catalog import Described
from .errors import ERRORS, handle_errors
from .guard import Guard
from .hub import Hub

_ABOUT = """
Everything the editor does goes through these routes. What happens is told over the WebSocket at `/api/events`: send
`{"type": "hello", "client": "<any name>", "watch": "<job id or null>"}` and read a snapshot, then one message for each
change of the queue, of a job, and of each node of the watched job. Each message is a whole state.

A protected server takes `Authorization: Bearer <token>`. Errors are `{"problems": [{"sentence": ...}]}`.
"""


def create_app(workspace: Workspace, queue: Queue, *, access: Access, page: bool = True) -> FastAPI:
    """The application of a workspace and its queue, which the caller starts and closes. `page` False leaves the pages
    out and serves the API alone."""
    hub = Hub(queue)
    catalog = Described(queue.catalog, workspace.folder / MEMORY / "catalog.json")
    gradio = shown.Pages(workspace, queue, catalog.load) if page else None

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        hub.open()
        async with AsyncExitStack() as stack:
            stack.callback(hub.close)
            if gradio is not None:
                await stack.enter_async_context(gradio.open())
            yield

    app = FastAPIOffline(
        title="Latentloom",
        version=importlib.metadata.version("latentloom"),
        description=_ABOUT,
        openapi_url="/api/openapi.json",
        docs_url="/api/docs",
        redoc_url=None,
        static_url="/api/docs/assets",
        swagger_ui_oauth2_redirect_url="/api/docs/oauth2-redirect",
        responses=ERRORS,
        lifespan=lifespan,
    )
    app.state.workspace, app.state.queue, app.state.hub, app.state.access = workspace, queue, hub, access
    app.state.catalog = catalog
    app.add_middleware(Guard, access=access)
    handle_errors(app)
    for part in (about, jobs, files, templates, drafts, pictures, runs, shares, events):
        app.include_router(part.router)
    if gradio is not None:
        app.include_router(shown.router)
        app.mount("/canvas", GZipMiddleware(shown.Bundle(), compresslevel=6), "canvas")
        app.router.routes.append(shown.BesideApi("", gradio, name="gradio"))
    return app
