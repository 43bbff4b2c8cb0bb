"""Past runs: found again, opened as they were, and put side by side."""

from __future__ import annotations

from editing import Editor
from playwright.sync_api import expect


def run_with(editor: Editor, words: str, seed: int) -> str:
    editor.setting("prompt.text").locator("textarea").fill(words)
    field = editor.setting("noise.seed").get_by_role("spinbutton")
    field.fill(str(seed))
    field.press("Enter")
    editor.holds("document.content.nodes.noise.settings.seed === argument", seed)
    job = editor.run()
    editor.ended()
    return job


def test_runs_are_found_opened_and_compared(editor: Editor):
    editor.open("/?template=text_to_image")
    first = run_with(editor, "a large red circle on a white background", 1)
    second = run_with(editor, "a small green triangle on a black background", 2)

    editor.find("gallery").click()
    runs = editor.find("gallery-runs").get_by_test_id("gallery-run")
    expect(runs).to_have_count(2)
    editor.find("gallery-search").fill("triangle")
    expect(runs).to_have_count(1)
    expect(runs.first).to_have_attribute("data-run", second)
    editor.find("gallery-search").fill("")
    expect(runs).to_have_count(2)

    for run in (first, second):
        editor.page.locator(f'[data-run="{run}"]').get_by_test_id("run-choose").check()
    editor.find("gallery-compare").click()
    panel = editor.find("compare-panel")
    expect(panel.get_by_test_id("difference")).to_contain_text("prompt · text")
    expect(panel.get_by_test_id("difference")).to_contain_text("small green triangle")
    expect(panel.get_by_test_id("difference")).to_contain_text("noise · seed")
    expect(panel.get_by_role("slider")).to_be_visible()
    panel.get_by_test_id("close").click()

    editor.page.locator(f'[data-run="{first}"]').get_by_test_id("run-open").click()
    editor.find("answer-discard").click()  # what was edited since is not thrown away without asking
    editor.holds("document.content.nodes.noise?.settings.seed === 1")
    assert editor.content["nodes"]["prompt"]["settings"]["text"] == "a large red circle on a white background"
    expect(editor.node("save").get_by_test_id("picture").locator("img")).to_be_visible()
