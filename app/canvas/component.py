"""The canvas, the bundle `build_backend` made, over the whole window: as a Gradio component, and as a page of its own.

The server answers `/canvas/` with the files of the bundle. The page of its own is for shares, and for the seconds that
importing Gradio takes.
"""

from __future__ import annotations

import html
import json
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import gradio as gr

STATIC = Path(__file__).resolve().with_name("static")

_MOUNT = """\
(async () => {
  const root = (window.gradio_config?.root ?? location.origin).replace(/[/]$/, "");
  const at = (name) => `${root}/canvas/${name}?v=${VERSION}`;
  const style = document.head.appendChild(Object.assign(document.createElement("link"), {rel: "stylesheet"}));
  const styled = new Promise((done) => (style.onload = style.onerror = done));
  style.href = at("editor.css");
  const [{mount}] = await Promise.all([import(at("editor.mjs")), styled]);
  const gradio = document.querySelector("gradio-app");
  if (gradio) gradio.style.display = "none";
  const stage = document.body.appendChild(document.createElement("div"));
  stage.style.cssText = "position: fixed; inset: 0";
  mount(stage, {root, ...OPTIONS});
})();
"""
"""Gradio does not wait for what runs on load, and loads no modules from a page's head. Its style sheet reaches into all
that is inside of it, more strongly than ours, so the canvas stands beside it."""


class PageMissing(RuntimeError):  # noqa: N818 - the message is a sentence for the user
    """The page was not built. The message says how to build it."""


def canvas() -> gr.HTML:
    """Nodes and wires over the whole window. All the rest, runs and files too, goes through the server's API.

    Not a subclass: beside the source of each, Gradio writes a stub file. Raises `PageMissing`.
    """
    import gradio as gr

    return gr.HTML(html_template="", js_on_load=script(), apply_default_css=False)


def script(**options: Any) -> str:
    """What shows the canvas, with `options` for its `mount`. Raises `PageMissing`."""
    return _MOUNT.replace("${VERSION}", version()).replace("OPTIONS", json.dumps(options))


def version() -> str:
    """Names the state of the page, so that browsers may keep what they fetched. Raises `PageMissing`."""
    try:
        return (STATIC / "stamp").read_text()[:16]
    except OSError:
        raise PageMissing(
            f"The page of the editor is not in {STATIC}; python app/canvas/build_backend.py builds it."
        ) from None


def page(title: str, **options: Any) -> str:
    """An HTML page with nothing but the canvas. Raises `PageMissing`."""
    return _PAGE.substitute(title=html.escape(title), script=script(**options).replace("</", "<\\/"))


_PAGE = Template("""\
<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <link rel="icon" href="/favicon.ico" type="image/svg+xml">
    <title>$title</title>
  </head>
  <body>
    <script>
$script
    </script>
  </body>
</html>
""")
