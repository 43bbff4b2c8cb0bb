"""The Gradio pages: the canvas at `/`, and a workflow as a plain form at `/app`."""

from __future__ import annotations

import warnings

import gradio as gr
from fastapi import FastAPI
from gradio.themes import Base
from gradio.themes.utils.fonts import Font

from .canvas import component
from .form import form
from .jobs.queue import Queue
from .server.page import ICON
from .workspace.workspace import Workspace

_CSS = """
.nav-holder {display: none}
#app-status p {margin: 0.25rem 0}
"""

_KEPT_SECONDS = 3600
"""How long Gradio keeps its copies of pictures the form showed."""


def blocks(workspace: Workspace, queue: Queue) -> gr.Blocks:
    """Both pages. Raises `PageMissing` where the canvas was not built."""
    with gr.Blocks(
        title="Latentloom", analytics_enabled=False, fill_width=True, delete_cache=(_KEPT_SECONDS, _KEPT_SECONDS)
    ) as pages:
        component.canvas()
    with pages.route("App", "/app", show_in_navbar=False):
        form(pages, workspace, queue)
    return pages


def mount(app: FastAPI, workspace: Workspace, queue: Queue) -> FastAPI:
    """Let `app` answer with the pages whatever its own routes do not. Raises `PageMissing`."""
    pages = blocks(workspace, queue)
    # By itself Gradio looks a thousand times a second whether a form waits, which costs a twentieth of a core.
    pages._queue.sleep_when_free = 0.02
    # Gradio's own themes fetch their fonts from another server.
    theme = Base(font=[Font("system-ui"), Font("sans-serif")], font_mono=[Font("ui-monospace"), Font("monospace")])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "SSR mode is not supported with multi-page apps")  # nor is it asked for
        return gr.mount_gradio_app(
            app,
            pages,
            path="/",
            ssr_mode=False,
            footer_links=[],
            run_history=False,
            favicon_path=str(ICON),
            allowed_paths=[str(queue.places.output), str(queue.places.previews)],
            theme=theme,
            css=_CSS,
        )
