"""A workflow as a plain form."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from editing import Server
from playwright.sync_api import BrowserContext, Page, expect

LONG = 1000


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    opened = context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    yield opened
    assert faults == []


def shown(page: Page, address: str) -> Page:
    page.goto(address)
    expect(page.get_by_role("button", name="Run", exact=True)).to_be_enabled()
    return page


def field(page: Page, name: str, tag: str = "textarea"):
    return page.locator(f'[id="{name}"] {tag}').first


def test_a_public_setting_is_typed_and_the_picture_comes(page: Page, server: Server):
    shown(page, "/app?template=text_to_image")
    expect(page.get_by_role("heading", name="Text to image")).to_be_visible()
    expect(page.locator('[id="guidance.scale"] input[type=range]')).to_be_visible()
    expect(field(page, "schedule.steps", "input[type=number]")).to_have_value("25")
    assert page.locator('[id="sampler.name"]').count() == 0
    field(page, "prompt.text").fill("a large blue ring on a beige background")
    page.locator("#app-run").click()
    expect(page.locator("#app-status")).to_contain_text("Done in")
    picture = page.locator("#app-save img").first
    expect(picture).to_be_visible()
    page.wait_for_function("(image) => image.complete && image.naturalWidth === 256", arg=picture.element_handle())
    (written,) = (server.workspace / "output").glob("*.png")
    assert b"a large blue ring on a beige background" in written.read_bytes()


def test_a_reload_in_mid_run_finds_the_run_and_what_was_entered(page: Page):
    shown(page, "/app?template=text_to_image")
    steps = field(page, "schedule.steps", "input[type=number]")
    steps.fill(str(LONG))
    steps.press("Enter")
    field(page, "prompt.text").fill("found again")
    page.locator("#app-run").click()
    expect(page.locator("#app-status")).to_contain_text("of 1000")
    page.reload()
    expect(page.locator("#app-status")).to_contain_text("of 1000")
    expect(field(page, "prompt.text")).to_have_value("found again")
    expect(page.locator("#app-status img")).to_be_visible()
    expect(page.locator("#app-run")).to_be_disabled()
    page.locator("#app-cancel").click()
    expect(page.locator("#app-status")).to_contain_text("Cancelled.")
    expect(page.locator("#app-run")).to_be_enabled()


def test_an_uploaded_picture_is_worked_on(page: Page, server: Server, tmp_path):
    from PIL import Image

    Image.new("RGB", (64, 64), "purple").save(tmp_path / "mine.png")
    shown(page, "/app?template=image_to_image")
    drawing = page.locator('[id="drawing.path"]')
    expect(drawing.locator("img")).to_be_visible()
    drawing.get_by_label("Clear").or_(drawing.get_by_label("Remove Image")).first.click()
    drawing.locator("input[type=file]").set_input_files(tmp_path / "mine.png")
    expect(drawing.locator("img")).to_be_visible()
    page.locator("#app-run").click()
    expect(page.locator("#app-status")).to_contain_text("Done in")
    assert [path.suffix for path in (server.workspace / "input/uploads").iterdir()] == [".png"]


def test_a_seed_is_drawn_anew_after_a_run(page: Page):
    shown(page, "/app?template=text_to_image")
    seed = field(page, "noise.seed", "input")
    before = seed.input_value()
    page.get_by_label("A new one for each run").check()
    page.locator("#app-run").click()
    expect(page.locator("#app-status")).to_contain_text("Done in")
    expect(seed).not_to_have_value(before)


def test_what_cannot_run_is_told_in_sentences(page: Page, server: Server):
    content = {
        "format": 1,
        "name": "Not whole",
        "nodes": {"prompt": {"type": "encode_prompt", "settings": {"text": "a ring"}}, "save": {"type": "save_image"}},
        "wires": [],
    }
    server.ask("/api/files/workflows/broken.json", {"content": content}, "PUT", If_None_Match="*")
    shown(page, "/app?file=workflows/broken.json")
    expect(page.get_by_text("This workflow does not say what its form shows")).to_be_visible()
    page.locator("#app-run").click()
    expect(page.locator("#app-status [role=alert]")).to_contain_text("image")
    expect(page.locator("#app-run")).to_be_enabled()


@pytest.mark.parametrize(
    ("address", "sentence"),
    [("/app", "The address names no workflow"), ("/app?template=text_to_imag", "text_to_imag")],
)
def test_an_address_that_leads_nowhere_is_told(page: Page, address: str, sentence: str):
    page.goto(address)
    expect(page.locator("[role=alert]")).to_contain_text(sentence)


def test_a_file_that_marks_a_setting_shows_that_alone(page: Page, server: Server):
    content = server.ask("/api/templates/text_to_image")["content"]
    content["app"] = {"inputs": [{"setting": "noise.seed", "label": "Luck"}], "outputs": [{"node": "picture"}]}
    server.ask("/api/files/workflows/luck.json", {"content": content}, "PUT", If_None_Match="*")
    shown(page, "/app?file=workflows/luck.json")
    expect(page.get_by_text("Luck")).to_be_visible()
    assert page.locator('[id="prompt.text"]').count() == 0
    page.locator("#app-run").click()
    expect(page.locator("#app-status")).to_contain_text("Done in")
    expect(page.locator("#app-picture img").first).to_be_visible()
    saved = json.loads((server.workspace / "workflows/luck.json").read_text())
    assert saved["app"] == content["app"]
