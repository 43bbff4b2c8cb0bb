"""What the canvas tells of runs, and what a person can do about them."""

from __future__ import annotations

import re

from editing import Editor
from playwright.sync_api import expect

LONG = 1000
"""Steps that are not over before a test has looked."""


def slow(editor: Editor) -> None:
    """Text to image, with so many steps that the run is still going on when it is looked at."""
    editor.open("/?template=text_to_image")
    field = editor.setting("schedule.steps").locator("input")
    field.fill(str(LONG))
    field.press("Enter")
    editor.holds("document.content.nodes.schedule.settings.steps === argument", LONG)


def test_a_reload_in_mid_run_finds_the_run_again(editor: Editor):
    slow(editor)
    job = editor.run()
    expect(editor.node("sample")).to_have_attribute("data-status", "running")
    editor.reload()
    expect(editor.node("sample")).to_have_attribute("data-status", "running")
    assert editor.watched == job
    assert editor.content["nodes"]["schedule"]["settings"]["steps"] == LONG
    expect(editor.node("sample")).to_contain_text(re.compile(r"\d+ of 1000|\d+/1000"))
    editor.find("interrupt").click()
    editor.ended("cancelled")


def test_the_picture_to_come_is_shown_while_it_is_made(editor: Editor):
    slow(editor)
    editor.run()
    expect(editor.node("sample").get_by_test_id("preview")).to_be_visible()
    editor.find("interrupt").click()
    editor.ended("cancelled")


def test_a_run_is_cancelled_within_a_step(editor: Editor):
    slow(editor)
    editor.run()
    expect(editor.node("sample")).to_have_attribute("data-status", "running")
    editor.find("interrupt").click()
    expect(editor.node("sample")).to_have_attribute("data-status", "cancelled")
    editor.ended("cancelled")
    expect(editor.node("save")).to_have_attribute("data-status", "cancelled")
    expect(editor.find("interrupt")).to_be_disabled()


def test_a_failed_node_tells_why(editor: Editor):
    editor.open("/?template=text_to_image")
    field = editor.setting("save.name").locator("input")
    field.fill("{nobody.knows}")
    field.press("Enter")
    editor.run()
    editor.ended("failed")
    expect(editor.node("save")).to_have_attribute("data-status", "failed")
    expect(editor.node("save").get_by_test_id("node-error")).to_contain_text("{nobody.knows} in the name is unknown")
    expect(editor.node("sample")).to_have_attribute("data-status", "done")


def test_what_cannot_run_is_told_where_it_stands(editor: Editor):
    editor.open("/?template=text_to_image")
    editor.node("guidance").locator("header").click()
    editor.page.keyboard.press("Delete")
    editor.node("canvas").locator("header").click()
    editor.page.keyboard.press("Delete")
    editor.find("run").click()
    panel = editor.find("problems-panel")
    expect(panel).to_be_visible()
    expect(panel.locator("[data-problem=noise]")).to_contain_text("latent")
    expect(editor.node("noise").locator("[data-problem]")).to_contain_text("latent")
    assert editor.page.evaluate("() => window.latentloom.runs.active.length") == 0
    editor.find("problems-close").click()
    editor.page.keyboard.press("Control+z")
    editor.holds("document.content.nodes.canvas")
    editor.run()
    editor.ended()


def test_a_bypassed_node_hands_on_what_it_is_given(editor: Editor):
    editor.open("/?template=text_to_image")
    editor.node("large").locator("header").click()
    editor.page.keyboard.press("Control+b")
    expect(editor.node("large")).to_have_attribute("data-mode", "bypass")
    assert editor.content["nodes"]["large"]["mode"] == "bypass"
    editor.run()
    editor.ended()
    picture = editor.page.evaluate("() => window.latentloom.runs.state('save').outputs[0]")
    assert (picture["width"], picture["height"]) == (32, 32)


def test_a_muted_node_and_what_needs_it_do_not_run(editor: Editor):
    editor.open("/?template=text_to_image")
    editor.node("large").locator("header").click()
    editor.page.keyboard.press("Control+m")
    expect(editor.node("large")).to_have_attribute("data-mode", "mute")
    editor.node("picture").locator("header").click()
    editor.find("run-menu").click()
    editor.find("run-selected").click()
    editor.ended()
    expect(editor.node("picture")).to_have_attribute("data-status", re.compile("done|reused"))
    expect(editor.node("save")).to_have_attribute("data-status", "muted")


def test_the_queue_is_paused_put_in_order_and_cleared(editor: Editor):
    editor.open("/?template=text_to_image")
    editor.find("queue").click()
    editor.find("queue-pause").click()
    editor.holds("runs.paused")
    for seed in range(3):
        field = editor.setting("noise.seed").locator("input").first
        field.fill(str(seed))
        field.press("Enter")
        editor.find("run").click()
        editor.holds("runs.active.length === argument", seed + 1)
    waiting = editor.page.evaluate("() => window.latentloom.runs.active.map((job) => job.id)")
    rows = editor.find("queue-waiting").get_by_test_id("queue-job")
    expect(rows).to_have_count(3)
    rows.nth(2).get_by_test_id("job-earlier").click()
    editor.holds("runs.active[1].id === argument", waiting[2])
    rows.nth(0).get_by_test_id("job-cancel").click()
    editor.holds("runs.active.length === 2")
    assert editor.page.evaluate("() => window.latentloom.runs.active.map((job) => job.id)") == [waiting[2], waiting[1]]
    editor.find("queue-clear").click()
    editor.find("answer-yes").click()
    editor.holds("runs.active.length === 0")
    editor.find("queue-pause").click()
    editor.holds("!runs.paused")


def test_a_seed_moves_on_as_its_rule_says(editor: Editor):
    editor.open("/?template=text_to_image")
    editor.setting("noise.seed").get_by_test_id("seed-rule").select_option("increment")
    editor.run()
    editor.holds("document.content.nodes.noise.settings.seed === 1")
    editor.ended()
    assert editor.page.evaluate("() => window.latentloom.runs.watched.workflow.nodes.noise.settings.seed") == 0
