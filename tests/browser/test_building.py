"""A workflow built by hand from an empty canvas, and run."""

from __future__ import annotations

from editing import Editor, centre
from playwright.sync_api import expect

WORDS = "a large red circle left of a small blue square on a white background"


def test_text_to_image_is_built_by_hand_and_run(editor: Editor):
    editor.open()
    assert editor.content["nodes"] == {}
    found = {
        kind: editor.search(words, kind)
        for words, kind in (
            ("load model", "load_model"),
            ("prompt", "encode_prompt"),
            ("empty", "empty_latent"),
            ("noise", "gaussian_noise"),
            ("denoise", "denoise"),
            ("decode", "decode"),
            ("save", "save_image"),
        )
    }
    model, prompt, empty, noise, sample, decode, save = found.values()
    editor.lay_out()
    wires = [
        (f"{model}.model", f"{prompt}.model"),
        (f"{model}.model", f"{empty}.model"),
        (f"{model}.model", f"{sample}.model"),
        (f"{model}.model", f"{decode}.model"),
        (f"{empty}.latent", f"{noise}.latent"),
        (f"{noise}.noise", f"{sample}.noise"),
        (f"{prompt}.conditioning", f"{sample}.positive"),
        (f"{sample}.latent", f"{decode}.latent"),
        (f"{decode}.image", f"{save}.image"),
    ]
    for source, target in wires:
        editor.wire(source, target)
    editor.setting(f"{prompt}.text").locator("textarea").fill(WORDS)
    editor.set_model(model, "shapes-unet")

    content = editor.content
    assert content["wires"] == [list(wire) for wire in wires]
    assert content["nodes"][prompt]["settings"]["text"] == WORDS

    editor.watch_states()
    editor.run()
    editor.ended()
    assert editor.states_of(sample) == ["waiting", "running", "done"]
    for node in found.values():
        expect(editor.node(node)).to_have_attribute("data-status", "done")
    picture = editor.node(save).get_by_test_id("picture").locator("img")
    expect(picture).to_be_visible()
    editor.page.wait_for_function("(image) => image.complete && image.naturalWidth > 0", arg=picture.element_handle())
    assert len(list((editor.server.workspace / "output").glob("*.png"))) == 1


def test_a_second_run_makes_anew_only_what_changed(editor: Editor):
    editor.open("/?template=text_to_image")
    editor.run()
    editor.ended()
    editor.setting("prompt.text").locator("textarea").fill("a small green ring at the top on a black background")
    editor.run()
    editor.ended()
    for node in ("model", "negative", "noise"):
        expect(editor.node(node)).to_have_attribute("data-status", "reused")
    for node in ("prompt", "sample", "save"):
        expect(editor.node(node)).to_have_attribute("data-status", "done")


def test_a_wire_of_the_wrong_type_is_refused_with_a_sentence(editor: Editor):
    editor.open("/?template=text_to_image")
    before = editor.content
    editor.drag_wire("prompt.conditioning", "sample.noise")
    expect(editor.find("hint")).to_have_text("prompt.conditioning gives Conditioning; sample.noise takes Noise.")
    assert editor.content == before


def test_a_wire_dropped_on_empty_canvas_asks_for_what_fits(editor: Editor):
    editor.open("/?template=text_to_image")
    before = set(editor.content["nodes"])
    editor.drag(editor.port("picture.image", "out"), editor.empty_spot())
    expect(editor.find("search-box")).to_be_focused()
    kinds = editor.page.locator("[role=option]").evaluate_all("(found) => found.map((each) => each.dataset.choice)")
    assert "resize" in kinds
    assert "load_model" not in kinds
    name = editor.choose("resize", "resize")
    assert name not in before
    editor.holds("document.content.wires.some((wire) => String(wire) === argument)", f"picture.image,{name}.image")


def test_every_step_is_undone_and_done_again(editor: Editor):
    editor.open("/?template=text_to_image")
    start = editor.content
    editor.node("large").locator("header").click()
    editor.page.keyboard.press("Delete")
    editor.holds("!document.content.nodes.large")
    deleted = editor.content
    assert not [wire for wire in deleted["wires"] if any(end.startswith("large.") for end in wire)]
    editor.page.keyboard.press("Control+z")
    editor.holds("document.content.nodes.large")
    assert editor.content == start
    editor.page.keyboard.press("Control+Shift+z")
    editor.holds("!document.content.nodes.large")
    assert editor.content == deleted
    editor.find("undo").click()
    editor.holds("document.content.nodes.large")
    assert editor.content == start
    expect(editor.find("undo")).to_be_disabled()


def test_a_curve_is_drawn_by_its_points(editor: Editor):
    editor.open("/?template=methods/scheduled_cfg")
    editor.node("changed_1").locator("header").click()
    curve = editor.find("inspector").locator('[data-setting="changed_1.points"]')
    start = editor.content["nodes"]["changed_1"]["settings"]["points"]
    points = "document.content.nodes.changed_1.settings.points"
    last = curve.get_by_role("slider").last
    x, y = centre(last)
    editor.drag(last, (x, y + 30))
    editor.holds(f"{points}.at(-1)[1] < argument", start[-1][1])
    editor.page.keyboard.press("Control+z")
    editor.holds(f"{points}.at(-1)[1] === argument", start[-1][1])
    assert editor.content["nodes"]["changed_1"]["settings"]["points"] == start  # all of the dragging was one step

    plot = curve.locator("svg.field").bounding_box()
    assert plot is not None
    editor.page.mouse.dblclick(plot["x"] + plot["width"] * 0.7, plot["y"] + plot["height"] * 0.6)
    editor.holds(f"{points}.length === argument", len(start) + 1)
    added = curve.get_by_role("slider").nth(2)
    expect(added).to_be_focused()
    editor.page.keyboard.press("ArrowUp")
    editor.page.keyboard.press("Delete")
    editor.holds(f"JSON.stringify({points}) === JSON.stringify(argument)", start)


def test_copied_nodes_are_pasted_in_another_tab(editor: Editor, second: Editor):
    editor.open("/?template=text_to_image")
    editor.node("schedule").locator("header").click()
    editor.node("guidance").locator("header").click(modifiers=["Shift"])
    editor.holds("document.selection.length === 2")
    editor.page.keyboard.press("Control+c")
    second.open("/")
    second.find("canvas").focus()
    second.page.keyboard.press("Control+v")
    second.holds("Object.keys(document.content.nodes).length === 2")
    assert {node["type"] for node in second.content["nodes"].values()} == {"schedule", "cfg"}


def test_with_alt_held_a_copy_is_dragged(editor: Editor):
    editor.open("/?template=text_to_image")
    before = editor.content["nodes"]
    header = editor.node("schedule").locator("header")
    editor.page.keyboard.down("Alt")
    editor.drag(header, editor.empty_spot())
    editor.page.keyboard.up("Alt")
    editor.holds("Object.keys(document.content.nodes).length === argument", len(before) + 1)
    after = editor.content["nodes"]
    (copy,) = set(after) - set(before)
    assert {name: after[name] for name in before} == before
    assert after[copy]["type"] == "schedule" and after[copy]["at"] != before["schedule"]["at"]
    editor.page.keyboard.press("Control+z")
    editor.holds("Object.keys(document.content.nodes).length === argument", len(before))
    assert editor.content["nodes"] == before


NOTE = """() => {
  const {document} = window.latentloom, {content} = document, [x, y] = content.nodes.sample.at;
  const nodes = {...content.nodes, sample: {...content.nodes.sample, at: [x + 2000, y + 900]}};
  const notes = [{text: "of the sampler", at: [x + 2000, y + 800], size: [200, 80]}];
  const reroutes = [{at: [x + 1990, y + 950], wires: [content.wires.find(([, to]) => to === "sample.noise")]}];
  document.change("Scatter", {...content, nodes, notes, reroutes});
}"""


def test_notes_and_bends_go_where_their_node_is_laid_out(editor: Editor):
    editor.open("/?template=text_to_image")
    editor.page.evaluate(NOTE)
    expect(editor.page.locator(".svelte-flow__node-note")).to_have_count(1)
    editor.settle()
    before = editor.content
    editor.lay_out()
    after = editor.content
    moved = [after["nodes"]["sample"]["at"][axis] - before["nodes"]["sample"]["at"][axis] for axis in (0, 1)]
    assert abs(moved[0]) > 100
    for name in ("notes", "reroutes"):
        at, was = after[name][0]["at"], before[name][0]["at"]
        assert [at[axis] - was[axis] for axis in (0, 1)] == moved
