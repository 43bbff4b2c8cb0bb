"""The server as a person starts it, and the hands of a person on its page."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

READY = "() => window.latentloom?.ready === true"
SECONDS = 60
"""Until a server that starts is taken for broken."""

WATCH = """() => {
  window.passed = [];
  const note = (element) => window.passed.push([element.dataset.nodeId, element.dataset.status]);
  new MutationObserver((changes) => changes.forEach(({target}) => note(target)))
    .observe(document.body, {subtree: true, attributes: true, attributeFilter: ["data-status"]});
}"""
"""Keep every state that any node passes through, however short it lasts."""


STILL = """() => new Promise((done) => {
  const places = () => [...document.querySelectorAll(".svelte-flow__viewport, .svelte-flow__node")]
    .map((each) => each.style.transform + each.offsetHeight).join();
  let before = "", same = 0;
  const look = () => {
    const now = places();
    same = now === before ? same + 1 : 0;
    before = now;
    if (same > 5) done(); else requestAnimationFrame(look);
  };
  look();
})"""


class Server:
    """`latentloom edit` in a process of its own, on a free port."""

    def __init__(self, workspace: Path, log: Path, *options: str) -> None:
        self.workspace, self._log = workspace, log
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._command = ["edit", "--no-browser", "--port", str(port), "--workspace", str(workspace), *options]

    def __enter__(self) -> Server:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "latentloom.app.main", *self._command],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        try:
            self.wait_for("/api/info")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def wait_for(self, path: str) -> None:
        """Until it answers `path`: `/api/info` is all the canvas needs, `/config` is Gradio's."""
        ticking = threading.Event()
        for _ in range(SECONDS * 20):
            try:
                with urllib.request.urlopen(f"{self.url}{path}", timeout=5):
                    return
            except urllib.error.HTTPError as answer:
                if answer.code == 401:  # it asks for a password, so it is there
                    return
                ticking.wait(0.05)
            except OSError:
                if self._process.poll() is not None:
                    break
                ticking.wait(0.05)
        raise RuntimeError(f"The server did not start:\n{self._log.read_text()}")

    def _end(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def ask(self, path: str, body: Any = None, method: str | None = None, **headers: str) -> Any:
        """What a route of the API answers."""
        data = None if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **{key.replace("_", "-"): value for key, value in headers.items()}}
        request = urllib.request.Request(f"{self.url}{path}", data, sent, method=method)
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return json.load(answer)


class Editor:
    """A tab with the canvas. Nodes are named as in the document, ports `node.port`, settings `node.setting`."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page, self.server = page, server
        self.faults: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(str(error)))

    # ---------------------------------------------------------------- the page

    def open(self, address: str = "/") -> Editor:
        self.front().page.goto(address)
        return self.ready()

    def front(self) -> Editor:
        """The tab that is looked at; browsers draw one frame a second of any other."""
        self.page.bring_to_front()
        return self

    def ready(self) -> Editor:
        self.page.wait_for_function(READY)
        self.settle()
        return self

    def reload(self) -> Editor:
        self.page.reload()
        return self.ready()

    def find(self, name: str) -> Locator:
        """What bears a name for tests."""
        return self.page.get_by_test_id(name)

    def menu(self, name: str) -> None:
        """An entry of the file menu."""
        self.find("file-menu").click()
        self.find(name).click()

    @property
    def content(self) -> dict[str, Any]:
        return self.page.evaluate("() => JSON.parse(JSON.stringify(window.latentloom.document.content))")

    def holds(self, condition: str, argument: Any = None) -> None:
        """Wait until `condition`, written in terms of `document`, `runs`, `files` and `argument`, is so."""
        body = "const {document, runs, files} = window.latentloom; return Boolean(" + condition + ")"
        self.page.wait_for_function(f"(argument) => {{{body}}}", arg=argument)

    # ---------------------------------------------------------------- the canvas

    def node(self, name: str) -> Locator:
        return self.page.locator(f'[data-node-id="{name}"]')

    def port(self, end: str, side: str) -> Locator:
        return self.page.locator(f'[data-port="{end}"][data-side="{side}"]')

    def setting(self, name: str) -> Locator:
        """The widget on the node, not the one in the panel."""
        return self.find("canvas").locator(f'[data-setting="{name}"]')

    def empty_spot(self) -> tuple[float, float]:
        """A place on the screen where nothing stands on the canvas."""
        return tuple(
            self.page.evaluate(
                """() => {
          const area = document.querySelector(".svelte-flow__pane").getBoundingClientRect();
          for (let y = area.top + 60; y < area.bottom - 40; y += 30)
            for (let x = area.left + 60; x < area.right - 60; x += 30)
              if (document.elementFromPoint(x, y)?.classList.contains("svelte-flow__pane")) return [x, y];
          throw new Error("The canvas is full.");
        }"""
            )
        )

    def search(self, words: str, kind: str) -> str:
        """Add a node through the search box a double click opens; its name."""
        self.settle()  # a node that is new may still grow over what was empty
        self.page.mouse.dblclick(*self.empty_spot())
        return self.choose(words, kind)

    def choose(self, words: str, kind: str) -> str:
        """Type into the open search box and take `kind`."""
        before = set(self.content["nodes"])
        self.find("search-box").fill(words)
        option = self.page.locator(f'[role=option][data-choice="{kind}"]')
        expect(option).to_be_visible()
        option.click()
        self.holds("Object.keys(document.content.nodes).length > argument", len(before))
        (name,) = set(self.content["nodes"]) - before
        expect(self.node(name)).to_be_visible()
        return name

    def drag_wire(self, source: str, target: str) -> None:
        """From an output to an input, as a hand does it."""
        self.drag(self.port(source, "out"), self.port(target, "in"))

    def wire(self, source: str, target: str) -> None:
        self.drag_wire(source, target)
        self.holds("document.content.wires.some((wire) => String(wire) === String(argument))", [source, target])

    def drag(self, start: Locator, end: Locator | tuple[float, float]) -> None:
        """Press, go to the middle of the way, go to the end, let go."""
        x, y = centre(start)
        to_x, to_y = end if isinstance(end, tuple) else centre(end)
        mouse = self.page.mouse
        mouse.move(x, y)
        mouse.down()
        mouse.move((x + to_x) / 2, (y + to_y) / 2, steps=4)
        mouse.move(to_x, to_y, steps=4)
        mouse.up()

    def lay_out(self) -> None:
        """Order the nodes and bring all of them into view."""
        self.page.keyboard.press("Escape")
        self.find("canvas").focus()
        before = self.page.evaluate("() => window.latentloom.document.revision")
        self.page.keyboard.press("l")
        self.holds("document.revision > argument", before)
        self.page.keyboard.press("f")
        self.settle()

    def settle(self) -> None:
        """Until the canvas has stood still for some pictures in a row."""
        self.page.evaluate(STILL)

    def set_model(self, node: str, source: str) -> None:
        """Choose a model in the list of those that are here."""
        self.setting(f"{node}.source").get_by_role("combobox").click()
        self.page.locator(f'[role=option][data-value="{source}"]').click()
        self.holds("document.content.nodes[argument[0]].settings?.source === argument[1]", [node, source])

    # ---------------------------------------------------------------- running

    def run(self) -> str:
        """Press Run; the job's id."""
        before = self.watched
        self.find("run").click()
        self.holds("runs.watched && runs.watched.id !== argument", before)
        watched = self.watched
        assert watched is not None
        return watched

    @property
    def watched(self) -> str | None:
        return self.page.evaluate("() => window.latentloom.runs.watched?.id ?? null")

    def ended(self, status: str = "done") -> None:
        self.holds('["done", "failed", "cancelled"].includes(runs.watched?.status)')
        found, error = self.page.evaluate(
            "() => [window.latentloom.runs.watched.status, window.latentloom.runs.watched.error]"
        )
        assert found == status, error

    def watch_states(self) -> None:
        self.page.evaluate(WATCH)

    def states_of(self, node: str) -> list[str]:
        """The states the node passed through since `watch_states`, each once where it stayed."""
        passed = [state for name, state in self.page.evaluate("() => window.passed") if name == node]
        return [state for state, before in zip(passed, [None, *passed], strict=False) if state != before]


def centre(what: Locator) -> tuple[float, float]:
    box = what.bounding_box()
    assert box is not None, f"{what} is not to be seen"
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def contains(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text))


NAMELESS = """() => {
  const controls = "button, a[href], input, textarea, select, [role=button], [role=menuitem], [role=combobox]";
  const text = (id) => document.getElementById(id)?.textContent ?? "";
  const names = (element) => [
    element.getAttribute("aria-label"),
    (element.getAttribute("aria-labelledby") ?? "").split(" ").filter(Boolean).map(text).join(" "),
    [...(element.labels ?? [])].map((label) => label.textContent).join(" "),
    element.matches("input, textarea, select") ? "" : element.textContent,
    element.title,
  ];
  return [...document.querySelectorAll(controls)]
    .filter((element) => element.checkVisibility() && !element.closest("[aria-hidden=true]"))
    .filter((element) => !names(element).some((name) => name?.trim()))
    .map((element) => element.outerHTML.slice(0, 200));
}"""


def nameless(page: Page) -> list[str]:
    """Controls a screen reader could only call `button` or `field`."""
    return page.evaluate(NAMELESS)
