"""The pictures of the editor that README shows: `python tests/benchmarks/screenshots.py [NAME ...]`.

They are taken of a server with an empty workspace and the model that ships, in `workflows/pictures/editor`.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, expect, sync_playwright

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

from editing import Editor, Server  # noqa: E402

FOLDER = TESTS.parent / "workflows/pictures/editor"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
WIDE, NARROW = (1440, 900), (1024, 700)
PROMPTS = (
    "a large red circle left of a small blue square on a white background",
    "a small green ring at the top on a black background",
    "a large yellow triangle above a small purple cross on a navy background",
    "a large orange diamond on a gray background",
)


def ran(editor: Editor, prompt: str = PROMPTS[0]) -> Editor:
    """Text to image, run to its end."""
    editor.open("/?template=text_to_image")
    editor.page.evaluate("(words) => window.latentloom.document.setSetting('prompt', 'text', words)", prompt)
    editor.run()
    editor.ended()
    return editor


def done(editor: Editor) -> None:
    ran(editor)
    editor.node("sample").locator("header").click()


def narrow(editor: Editor) -> None:
    """With the palette closed, as whoever has little room would have it."""
    ran(editor)
    editor.node("sample").locator("header").click()
    editor.find("canvas").focus()
    for key in "pf":
        editor.page.keyboard.press(key)
    editor.settle()


def running(editor: Editor) -> None:
    editor.open("/?template=text_to_image")
    editor.page.evaluate("() => window.latentloom.document.setSetting('schedule', 'steps', 400)")
    editor.find("run").click()
    editor.find("queue").click()
    expect(editor.node("sample").get_by_test_id("preview")).to_be_visible()
    editor.page.wait_for_function("() => window.latentloom.runs.state('sample')?.done > 150")


def failed(editor: Editor) -> None:
    editor.open("/?template=text_to_image")
    editor.setting("save.name").locator("input").fill("{noise.sed}")
    editor.run()
    editor.ended("failed")
    editor.node("save").locator("header").click()


def gallery(editor: Editor) -> None:
    for prompt in PROMPTS:
        ran(editor, prompt)
    editor.find("gallery").click()
    expect(editor.find("gallery-run").nth(len(PROMPTS) - 1)).to_be_visible()


def compare(editor: Editor) -> None:
    ran(editor)
    editor.page.evaluate("() => window.latentloom.document.setSetting('guidance', 'scale', 1)")
    editor.run()
    editor.ended()
    editor.find("gallery").click()
    for place in (0, 1):
        editor.find("gallery-run").nth(place).get_by_test_id("run-choose").check()
    editor.find("gallery-compare").click()
    expect(editor.find("compare-panel").get_by_test_id("difference")).to_be_visible()


def form(editor: Editor) -> None:
    editor.page.goto("/app?template=text_to_image")
    editor.page.locator("#app-run").click()
    expect(editor.page.locator("#app-status")).to_contain_text("Done in")
    expect(editor.page.locator("#app-save img").first).to_be_visible()


SCENES: dict[str, tuple[Callable[[Editor], None], str, tuple[int, int]]] = {
    "light": (done, "light", WIDE),
    "dark": (done, "dark", WIDE),
    "narrow": (narrow, "light", NARROW),
    "running": (running, "dark", WIDE),
    "failed": (failed, "light", WIDE),
    "gallery": (gallery, "light", WIDE),
    "compare": (compare, "light", WIDE),
    "form": (form, "light", WIDE),
}


def take(name: str, browser: Browser, server: Server) -> Path:
    scene, scheme, (width, height) = SCENES[name]
    context = browser.new_context(
        base_url=server.url,
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    context.set_default_timeout(120_000)
    editor = Editor(context.new_page(), server)
    scene(editor)
    editor.page.mouse.move(width / 2, height - 2)
    editor.page.evaluate("() => new Promise((painted) => requestAnimationFrame(() => setTimeout(painted, 300)))")
    picture = Image.open(io.BytesIO(editor.page.screenshot()))
    path = FOLDER / f"{name}.webp"
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.convert("RGB").save(path, quality=82, method=6)
    context.close()
    return path


def main() -> None:
    expect.set_options(timeout=120_000)
    for name in sys.argv[1:] or SCENES:
        # Each of a workspace of its own, so that no picture shows what another left.
        with (
            tempfile.TemporaryDirectory() as folder,
            Server(Path(folder) / "workspace", Path(folder) / "log.txt") as server,
            sync_playwright() as playwright,
        ):
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            path = take(name, browser, server)
            browser.close()
        print(f"{path.relative_to(TESTS.parent)}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
