"""Workflows saved, opened again, dropped, shared, and open in two tabs at once."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from editing import Editor, Server
from PIL import Image as Pillow
from playwright.sync_api import Page, expect

DROP = """async ([name, type, text]) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, {type}));
  const pane = document.querySelector(".svelte-flow__pane");
  const {left, top} = pane.getBoundingClientRect();
  for (const kind of ["dragenter", "dragover", "drop"])
    pane.dispatchEvent(new DragEvent(kind, {
      dataTransfer: transfer, bubbles: true, cancelable: true, clientX: left + 90, clientY: top + 90,
    }));
}"""


def drop_file(page: Page, path: Path, kind: str) -> None:
    """As a file from the desktop is dropped on the canvas."""
    page.evaluate(DROP, [path.name, kind, base64.b64encode(path.read_bytes()).decode()])


def save_as(editor: Editor, name: str) -> None:
    editor.page.keyboard.press("Control+s")
    editor.find("save-as-name").fill(name)
    editor.find("save-as-confirm").click()
    editor.holds("document.path === argument", f"workflows/{name}.json")


def set_prompt(editor: Editor, words: str) -> None:
    editor.setting("prompt.text").locator("textarea").fill(words)
    editor.holds("document.content.nodes.prompt.settings.text === argument", words)


def test_saved_and_reopened_it_is_the_same(editor: Editor, server: Server):
    editor.open("/?template=text_to_image")
    set_prompt(editor, "a blue cross")
    save_as(editor, "portraits/cross")
    held = editor.content
    file = server.workspace / "workflows/portraits/cross.json"
    assert json.loads(file.read_text()) == held
    set_prompt(editor, "a yellow cross")
    editor.page.keyboard.press("Control+s")
    editor.holds("!files.unsaved")
    assert json.loads(file.read_text())["nodes"]["prompt"]["settings"]["text"] == "a yellow cross"
    editor.menu("file-new")
    editor.holds("Object.keys(document.content.nodes).length === 0")
    editor.page.keyboard.press("Control+o")
    editor.find("files-dialog").get_by_text("portraits/cross").click()
    editor.holds("document.path === argument", "workflows/portraits/cross.json")
    assert editor.content["nodes"]["prompt"]["settings"]["text"] == "a yellow cross"


def test_a_version_comes_back(editor: Editor):
    editor.open("/?template=text_to_image")
    set_prompt(editor, "first")
    save_as(editor, "versions")
    set_prompt(editor, "second")
    editor.page.keyboard.press("Control+s")
    editor.holds("!files.unsaved")
    editor.menu("versions")
    editor.find("version").last.click()
    editor.find("version-restore").click()
    editor.holds("document.content.nodes.prompt.settings.text === 'first'")


def test_unsaved_work_is_there_after_a_reload(editor: Editor):
    editor.open("/?template=text_to_image")
    set_prompt(editor, "not saved anywhere")
    editor.reload()
    assert editor.content["nodes"]["prompt"]["settings"]["text"] == "not saved anywhere"


def test_a_dropped_picture_opens_the_workflow_that_made_it(editor: Editor, server: Server):
    editor.open("/?template=text_to_image")
    set_prompt(editor, "a picture that remembers")
    editor.run()
    editor.ended()
    (picture,) = (server.workspace / "output").glob("*.png")
    editor.open("/")
    drop_file(editor.page, picture, "image/png")
    editor.holds("document.content.nodes.prompt?.settings.text === argument", "a picture that remembers")
    assert editor.content["nodes"]["sample"]["type"] == "denoise"


def test_a_dropped_file_opens_and_one_that_is_none_is_told(editor: Editor, tmp_path: Path):
    workflow = {"format": 1, "name": "Dropped", "nodes": {"one": {"type": "load_image", "settings": {}}}, "wires": []}
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(workflow))
    bad.write_text('{"format": 99}')
    editor.open("/")
    drop_file(editor.page, good, "application/json")
    editor.holds("document.content.name === 'Dropped'")
    drop_file(editor.page, bad, "application/json")
    expect(editor.page.get_by_text("The file has format 99").first).to_be_visible()
    assert editor.content["name"] == "Dropped"


def test_two_tabs_on_one_file_are_told_and_neither_overwrites(editor: Editor, second: Editor, server: Server):
    editor.open("/?template=text_to_image")
    save_as(editor, "together")
    address = "/?file=workflows/together.json"
    editor.open(address)
    second.open(address)
    expect(editor.find("presence-banner")).to_be_visible()
    set_prompt(second, "theirs")
    set_prompt(editor.front(), "mine")
    second.front().page.keyboard.press("Control+s")
    second.holds("!files.unsaved")
    editor.front()
    expect(editor.find("disk-banner")).to_be_visible()
    assert editor.content["nodes"]["prompt"]["settings"]["text"] == "mine"
    editor.page.keyboard.press("Control+s")
    expect(editor.find("conflict")).to_be_visible()
    file = server.workspace / "workflows/together.json"
    assert json.loads(file.read_text())["nodes"]["prompt"]["settings"]["text"] == "theirs"
    editor.find("conflict-difference").click()
    expect(editor.find("difference-dialog")).to_contain_text("prompt")
    expect(editor.find("difference-dialog")).to_contain_text("theirs")
    editor.find("difference-dialog").get_by_test_id("close").click()
    editor.find("conflict-copy").click()
    editor.find("save-as-confirm").click()
    editor.holds("document.path !== 'workflows/together.json' && !files.unsaved")
    assert json.loads(file.read_text())["nodes"]["prompt"]["settings"]["text"] == "theirs"
    copy = server.workspace / editor.page.evaluate("() => window.latentloom.document.path")
    assert json.loads(copy.read_text())["nodes"]["prompt"]["settings"]["text"] == "mine"


def test_a_template_is_a_start_of_ones_own(editor: Editor):
    editor.open("/")
    editor.menu("file-templates")
    editor.find("templates-dialog").get_by_test_id("template").filter(has_text="Inpaint").click()
    editor.holds("document.content.name === 'Inpaint'")
    assert editor.page.evaluate("() => window.latentloom.document.path") is None
    expect(editor.node("second")).to_be_visible()


def test_a_shared_workflow_is_looked_at_and_not_changed(editor: Editor, second: Editor):
    editor.open("/?template=text_to_image")
    set_prompt(editor, "to be shown around")
    editor.menu("share")
    editor.find("share-make").click()
    link = editor.find("share-row").first.locator("a, input").first
    expect(link).to_be_visible()
    address = link.evaluate("(element) => element.href ?? element.value")
    second.open(address)
    assert second.content["nodes"]["prompt"]["settings"]["text"] == "to be shown around"
    expect(second.find("share-banner")).to_be_visible()
    expect(second.find("run")).to_have_count(0)
    before = second.content
    second.node("prompt").locator("header").click()
    second.page.keyboard.press("Delete")
    assert second.content == before
    expect(second.setting("prompt.text").locator("textarea")).not_to_be_editable()
    second.find("open-copy").click()
    second.page.wait_for_url("**/")
    second.ready()
    second.holds("document.content.nodes.prompt.settings.text === argument", "to be shown around")
    assert not second.page.evaluate("() => window.latentloom.document.readonly")


GIVE = """async ([selector, kind, text]) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], "given.png", {type: "image/png"}));
  const element = document.querySelector(selector);
  const how = {bubbles: true, cancelable: true};
  element.dispatchEvent(kind === "paste"
    ? new ClipboardEvent(kind, {...how, clipboardData: transfer})
    : new DragEvent(kind, {...how, dataTransfer: transfer}));
}"""


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_a_picture_given_to_a_node_is_its_picture(editor: Editor, tmp_path: Path, kind: str):
    """Also one that holds a workflow, which anywhere else would open it."""
    Pillow.new("RGB", (8, 8), "red").save(tmp_path / "red.png")
    editor.open("/")
    name = editor.search("load image", "load_image")
    editor.node(name).locator("header").click()
    editor.holds("document.selection.length === 1")
    target = f"[data-node-id='{name}'] header" if kind == "drop" else "[data-testid=canvas]"
    picture = base64.b64encode((tmp_path / "red.png").read_bytes()).decode()
    editor.page.evaluate(GIVE, [target, kind, picture])
    editor.holds(f"document.content.nodes.{name}.settings.path?.startsWith('uploads/')")
    assert set(editor.content["nodes"]) == {name}
