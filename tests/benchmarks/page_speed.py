"""How long a step of a run takes to be seen, and how much a browser fetches for the canvas.

`python tests/benchmarks/page_speed.py [--steps 300] [--rounds 3]`

From the moment the server's queue is told of a step by its worker until the frame that shows it was painted, in
Chromium without a GPU on the same machine. Steps the page leaves out, as newer ones overtook them, are not counted.
`canvas_speed.py` measures loading and frame rates.
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import socket
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import uvicorn
from playwright.sync_api import Page, sync_playwright
from rich.console import Console
from rich.table import Table

from latentloom.app.canvas.component import STATIC
from latentloom.app.jobs.queue import Queue
from latentloom.app.jobs.wire import NodeMessage
from latentloom.app.server.access import Access
from latentloom.app.server.application import create_app
from latentloom.app.workspace.workspace import Workspace
from latentloom.nodes.models.runtime import RuntimeSettings

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from editing import READY

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
ENDED = "() => ['done', 'failed', 'cancelled'].includes(window.latentloom.runs.watched?.status)"

NOTE = """() => {
  window.seen = [];
  new MutationObserver(() => {
    const text = document.querySelector("[data-status-of=sample]")?.textContent ?? "";
    const step = text.match(/([0-9]+)[/]/)?.[1];
    if (!step || window.seen.at(-1)?.[0] === step) return;
    const entry = [step, null];
    window.seen.push(entry);
    // Frames are painted after the callbacks of that frame, and before the next task.
    requestAnimationFrame(() => setTimeout(() => (entry[1] = (performance.timeOrigin + performance.now()) / 1000)));
  }).observe(document.body, {subtree: true, childList: true, characterData: true});
}"""
"""Keep each step that is shown, and when."""


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, Queue]]:
    """A server in this process, so that its clock and its queue can be read."""
    workspace = Workspace(folder)
    queue = Queue(workspace.places, ["cpu"], RuntimeSettings(device="cpu"), recorder=workspace.history)
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(create_app(workspace, queue, access=Access()), log_level="warning"))
    thread = threading.Thread(target=server.run, args=[[listening]])
    with closing(workspace), closing(queue):
        queue.start()
        thread.start()
        try:
            while not _answers(f"{url}/config"):
                time.sleep(0.1)
            yield url, queue
        finally:
            server.should_exit = True
            thread.join()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url):
            return True
    except OSError:
        return False


def latencies(page: Page, queue: Queue, url: str, steps: int) -> list[float]:
    """Seconds from each step that is shown."""
    heard: dict[str, float] = {}

    def listen(message: object) -> None:
        if isinstance(message, NodeMessage) and message.node == "sample":
            heard.setdefault(str(message.state.done), time.time())

    page.goto(f"{url}/?template=text_to_image")
    page.wait_for_function(READY)
    page.evaluate("(steps) => window.latentloom.document.setSetting('schedule', 'steps', steps)", steps)
    page.evaluate("() => window.latentloom.document.setSetting('noise', 'seed', Date.now() % 1e6)")
    page.evaluate(NOTE)
    stop = queue.subscribe(listen)
    page.get_by_test_id("run").click()
    page.wait_for_function(ENDED, timeout=300_000)
    stop()
    status, error = page.evaluate("(({watched}) => [watched.status, watched.error])(window.latentloom.runs)")
    if status != "done":
        raise RuntimeError(f"The run {status}: {error}")
    seen = page.evaluate("() => window.seen.filter(([, at]) => at !== null)")
    return [at - heard[step] for step, at in seen if step in heard]


def fetched() -> Iterator[tuple[str, int, int]]:
    """Name, bytes and compressed bytes of what the page is shown with."""
    for path in sorted(STATIC.glob("editor.*")):
        data = path.read_bytes()
        yield path.name, len(data), len(gzip.compress(data))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    times = Table("from event to screen", "steps shown", "median", "95 %", "longest")
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as (url, queue), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for number in range(1, options.rounds + 1):
            page = browser.new_page(viewport={"width": 1440, "height": 900})  # of a fresh profile, without drafts
            found = sorted(latencies(page, queue, url, options.steps))
            page.close()
            told = [statistics.median(found), found[int(0.95 * len(found))], found[-1]]
            times.add_row(f"round {number}", str(len(found)), *(f"{1000 * seconds:.0f} ms" for seconds in told))
        browser.close()
    sizes = Table("fetched to show the canvas", "kB", "kB compressed")
    whole = list(fetched())
    for name, size, packed in [*whole, ("all", sum(each[1] for each in whole), sum(each[2] for each in whole))]:
        sizes.add_row(name, f"{size / 1000:.1f}", f"{packed / 1000:.1f}")
    Console().print(times, sizes)


if __name__ == "__main__":
    main()
