"""The canvas as a Gradio component: the bundle `build_backend` made, mounted into an empty element.

The server answers `/canvas/` with the files of the bundle.
"""

from __future__ import annotations

import html
import json
from pathlib import Path
from string import Template
from typing import Any

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
  mount(element, {root, ...OPTIONS});
})();
"""
"""Gradio does not wait for what runs on load, and loads no modules from a page's head."""


class PageMissing(RuntimeError):  # noqa: N818 - the message is a sentence for the user
    """The page was not built. The message says how to build it."""


def canvas(elem_id: str) -> gr.HTML:
    """Nodes and wires over the whole element. All the rest, runs and files too, goes through the server's API.

    Not a subclass: beside the source of each, Gradio writes a stub file. Raises `PageMissing`.
    """
    return gr.HTML(
        elem_id=elem_id,
        html_template="",
        js_on_load=script(),
        apply_default_css=False,
        container=False,
        padding=False,
    )


def script(**options: Any) -> str:
    """What mounts the page into `element`, with `options` for its `mount`. Raises `PageMissing`."""
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
    """An HTML page with nothing but the canvas, for what needs no Gradio. Raises `PageMissing`."""
    return _PAGE.substitute(title=html.escape(title), script=script(**options).replace("</", "<\\/"))


_PAGE = Template("""\
<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>$title</title>
    <style>html, body, #canvas {height: 100%; margin: 0}</style>
  </head>
  <body>
    <div id="canvas"></div>
    <script>
const element = document.getElementById("canvas");
$script
    </script>
  </body>
</html>
""")
