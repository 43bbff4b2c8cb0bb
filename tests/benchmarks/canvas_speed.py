"""How quick the canvas is with many nodes: until it is loaded, frames a second while a node is dragged, and in panning.

`python tests/benchmarks/canvas_speed.py [--nodes 50 200 500] [--rounds 3] [--url URL --workspace DIR]`

The workflow is the shipped text_to_image side by side as often as it takes, all of it on the screen, in Chromium
without a GPU. Loading is from the request for the page until the last node is drawn; frames are counted over two
seconds of moving the pointer. Without `--url` a server of its own is started.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright
from rich.console import Console
from rich.table import Table

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

from editing import READY, Server  # noqa: E402

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
BESIDE = (2300, 900)
"""Between copies of the workflow."""
ACROSS = 4
SECONDS = 2.0

DRAWN = """(count) => {
  const nodes = [...document.querySelectorAll(".svelte-flow__node")];
  return nodes.length >= count && nodes.every((node) => node.style.visibility !== "hidden");
}"""

COUNT = """() => {
  window.frames_ = [];
  const note = (now) => { window.frames_.push(now); window.counting_ = requestAnimationFrame(note); };
  window.counting_ = requestAnimationFrame(note);
}"""

COUNTED = """() => {
  cancelAnimationFrame(window.counting_);
  const times = window.frames_;
  return (times.length - 1) / (times[times.length - 1] - times[0]) * 1000;
}"""


def workflow(count: int) -> dict[str, Any]:
    """`count` nodes: copies of the shipped workflow, each a few steps from the last."""
    shipped = json.loads((TESTS.parent / "workflows/text_to_image.json").read_text())
    nodes: dict[str, Any] = {}
    wires = []
    copy = 0
    while len(nodes) < count:
        left, top = copy % ACROSS * BESIDE[0], copy // ACROSS * BESIDE[1]
        for name, node in shipped["nodes"].items():
            if len(nodes) < count:
                nodes[f"{name}_{copy}"] = {**node, "at": [node["at"][0] + left, node["at"][1] + top]}
        renamed = [[end.replace(".", f"_{copy}.") for end in wire] for wire in shipped["wires"]]
        wires += [wire for wire in renamed if all(end.rpartition(".")[0] in nodes for end in wire)]
        copy += 1
    return {"format": 1, "name": f"{count} nodes", "nodes": nodes, "wires": wires}


def loaded(page: Page, url: str, count: int) -> float:
    """Seconds until every node is drawn."""
    page.goto("about:blank")
    page.goto(f"{url}/?file=workflows/{count}.json", wait_until="commit")
    page.wait_for_function(READY, timeout=60_000)
    page.wait_for_function(DRAWN, arg=count, timeout=60_000)
    return page.evaluate("() => new Promise((seen) => requestAnimationFrame(() => seen(performance.now() / 1000)))")


def dragged(page: Page, count: int) -> float:
    """Frames a second while a node moves."""
    head = page.locator(f'[data-node-id="guidance_{count // 24}"] header').bounding_box()
    assert head is not None
    return _moved(page, head["x"] + head["width"] / 3, head["y"] + head["height"] / 2)


def panned(page: Page) -> float:
    """Frames a second while the canvas moves, with everything in sight."""
    spot = page.evaluate(
        """() => {
          const pane = document.querySelector(".svelte-flow__pane").getBoundingClientRect();
          for (let y = pane.bottom - 8; y > pane.top; y -= 6)
            for (let x = pane.left + 80; x < pane.right; x += 6)
              if (document.elementFromPoint(x, y)?.classList.contains("svelte-flow__pane")) return [x, y];
        }"""
    )
    return _moved(page, *spot)


def _moved(page: Page, x: float, y: float) -> float:
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 3, y + 3)
    page.evaluate(COUNT)
    begun = page.evaluate("performance.now()")
    step = 0
    while page.evaluate("performance.now()") - begun < SECONDS * 1000:
        step += 1
        page.mouse.move(x + 40 * (step % 2) + step % 7, y - step % 30)
    rate = page.evaluate(COUNTED)
    page.mouse.up()
    return rate


def measure(page: Page, url: str, count: int, rounds: int) -> list[str]:
    loads, drags, pans = [], [], []
    for _ in range(rounds):
        loads.append(loaded(page, url, count))
        page.wait_for_timeout(500)
        drags.append(dragged(page, count))
        page.keyboard.press("Control+z")
        pans.append(panned(page))
    return [
        str(count),
        f"{statistics.median(loads):.2f} s",
        f"{statistics.median(drags):.0f}",
        f"{statistics.median(pans):.0f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=[50, 200, 500])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--url", help="a server that runs already, with its workspace")
    parser.add_argument("--workspace", type=Path)
    options = parser.parse_args()
    table = Table("nodes", "loaded", "dragging, frames a second", "panning, frames a second")
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        workspace = options.workspace or Path(temporary) / "workspace"
        files = workspace / "workflows"
        files.mkdir(parents=True, exist_ok=True)
        for count in options.nodes:
            (files / f"{count}.json").write_text(json.dumps(workflow(count)))
        own = Server(workspace, Path(temporary) / "log.txt")
        with nullcontext(options) if options.url else own as server:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            for count in options.nodes:
                table.add_row(*measure(page, server.url, count, options.rounds))
            browser.close()
    Console().print(table)


if __name__ == "__main__":
    main()
