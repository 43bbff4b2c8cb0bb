"""For everybody: the keyboard alone, names of controls, light and dark, a narrow window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from editing import Editor, Server, nameless
from playwright.sync_api import expect

SIZES = [(1024, 768), (1440, 900)]

CONTRAST = """() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const {color, backgroundColor} = getComputedStyle(document.querySelector("[data-testid=palette]"));
  const [high, low] = [light(color), light(backgroundColor)].sort((a, b) => b - a);
  return {ratio: (high + 0.05) / (low + 0.05), dark: light(backgroundColor) < 0.2};
}"""


def test_the_keyboard_alone_adds_wires_sets_and_runs(editor: Editor):
    """A picture, enlarged and saved: what a person without a pointer does."""
    editor.open("/")
    keys = editor.page.keyboard
    editor.find("canvas").focus()

    def add(words: str, kind: str) -> None:
        before = len(editor.content["nodes"])
        keys.press("/")
        expect(editor.find("search-box")).to_be_focused()
        keys.type(words)
        expect(editor.page.locator("[role=option][aria-selected=true]")).to_have_attribute("data-choice", kind)
        keys.press("Enter")
        editor.holds("Object.keys(document.content.nodes).length === argument", before + 1)
        expect(editor.page.locator(".svelte-flow__node:focus")).to_have_count(1)
        editor.settle()

    add("load image", "load_image")
    keys.press("Enter")
    expect(editor.setting("load_image.path").get_by_role("combobox")).to_be_focused()
    keys.press("Enter")
    expect(editor.page.locator("input[role=combobox]:focus")).to_have_count(1)
    expect(editor.page.locator("[role=option][data-value='drawing.png']")).to_be_visible()
    keys.type("drawing")
    expect(editor.page.locator("[role=option].active:visible")).to_have_attribute("data-value", "drawing.png")
    keys.press("Enter")
    editor.holds("document.content.nodes.load_image.settings?.path === 'drawing.png'")
    keys.press("Escape")
    keys.press("Escape")
    add("save image", "save_image")
    keys.press("Shift+W")
    expect(editor.find("connect-box")).to_be_focused()
    keys.type("load_image")
    keys.press("Enter")
    editor.holds("document.content.wires.length === 1")
    assert editor.content["wires"] == [["load_image.image", "save_image.image"]]
    keys.press("Control+Enter")
    editor.holds("runs.watched")
    editor.ended()


def test_the_sheet_shows_every_shortcut(editor: Editor):
    editor.open("/")
    editor.find("canvas").focus()
    editor.page.keyboard.press("?")
    sheet = (
        editor.page.get_by_role("dialog").filter(has_text="Shortcuts").or_(editor.page.locator("dialog[open]")).first
    )
    expect(sheet).to_be_visible()
    for words in ("Run the workflow", "Bypass", "Duplicate", "Lay out along the data flow"):
        expect(sheet).to_contain_text(words)
    editor.page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()


@pytest.mark.parametrize("opened", [None, "queue", "gallery", "file-open", "file-templates", "share"])
def test_every_control_has_a_name(editor: Editor, opened: str | None):
    editor.open("/?template=text_to_image")
    editor.node("sample").locator("header").click()
    if opened in ("queue", "gallery"):
        editor.find(opened).click()
    elif opened is not None:
        editor.menu(opened)
    assert nameless(editor.page) == []


@pytest.mark.parametrize("size", SIZES, ids=lambda size: str(size[0]))
def test_nothing_flows_over_the_window(editor: Editor, size: tuple[int, int]):
    width, height = size
    editor.page.set_viewport_size({"width": width, "height": height})
    editor.open("/?template=text_to_image")
    for name in ("run", "file-menu", "queue", "interrupt"):
        box = editor.find(name).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    scrolled = editor.page.evaluate(
        "() => [document.scrollingElement.scrollWidth, document.scrollingElement.scrollHeight]"
    )
    assert scrolled == [width, height]
    canvas = editor.find("canvas").bounding_box()
    assert canvas is not None
    assert canvas["width"] > width * 0.4


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_the_system_and_can_be_read(editor: Editor, scheme):
    editor.page.emulate_media(color_scheme=scheme)
    editor.open("/?template=text_to_image")
    seen = editor.page.evaluate(CONTRAST)
    assert seen["dark"] == (scheme == "dark")
    assert seen["ratio"] >= 4.5


def test_the_theme_is_chosen_and_kept(editor: Editor):
    editor.page.emulate_media(color_scheme="light")
    editor.open("/")
    editor.find("more").click()
    editor.find("theme-dark").click()
    assert editor.page.evaluate(CONTRAST)["dark"]
    editor.reload()
    assert editor.page.evaluate(CONTRAST)["dark"]


def test_nothing_is_asked_of_other_servers(editor: Editor):
    asked: list[str] = []
    editor.page.on("request", lambda request: asked.append(request.url))
    editor.open("/?template=text_to_image")
    editor.page.goto("/app?template=text_to_image")
    expect(editor.page.locator("#app-run")).to_be_enabled()
    foreign = [url for url in asked if not url.startswith((editor.server.url, "data:", "blob:"))]
    assert len(asked) > 10
    assert foreign == []


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Server]:
    """A server that asks for a password."""
    (tmp_path / "password").write_text("sesame")
    with Server(tmp_path / "workspace", tmp_path / "log.txt", "--password-file", str(tmp_path / "password")) as running:
        yield running


def test_who_signed_in_signs_out_again_and_loses_nothing(editor: Editor, guarded: Server):
    page = editor.page
    page.goto(f"{guarded.url}/?template=text_to_image")
    page.get_by_test_id("secret").fill("sesame")
    page.get_by_test_id("sign-in").click()
    editor.ready()
    editor.setting("prompt.text").locator("textarea").fill("not saved")
    editor.find("more").click()
    editor.find("sign-out").click()
    expect(page.get_by_test_id("secret")).to_be_visible()
    assert page.request.get(f"{guarded.url}/api/drafts").status == 401
    page.get_by_test_id("secret").fill("sesame")
    page.get_by_test_id("sign-in").click()
    editor.ready()
    drafts = page.request.get(f"{guarded.url}/api/drafts").json()["drafts"]
    assert len(drafts) == 1


def test_an_open_server_has_nobody_to_sign_out(editor: Editor):
    editor.open("/")
    editor.find("more").click()
    expect(editor.find("theme-dark")).to_be_visible()
    expect(editor.find("sign-out")).to_have_count(0)


def test_the_canvas_is_shown_by_gradio_once_that_is_there(editor: Editor):
    editor.server.wait_for("/config")
    editor.open("/?template=text_to_image")
    assert "sample" in editor.content["nodes"]
    assert editor.page.evaluate("() => Boolean(window.gradio_config)")
