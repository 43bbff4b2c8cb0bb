"""What a workflow shows in its form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from latentloom.app.public import PublicView, goals, public_view, words
from latentloom.graph.catalog import Catalog
from latentloom.graph.workflow import Workflow
from latentloom.nodes.catalog import NODES

CATALOG = Catalog(NODES, "latentloom.nodes")
SHIPPED = Path(__file__).parents[2] / "workflows"


def document(**more: Any) -> dict[str, Any]:
    return {
        "format": 1,
        "nodes": {
            "model": {"type": "load_model", "settings": {"source": "shapes-unet"}},
            "my.words": {"type": "encode_prompt", "settings": {"text": "a ring"}},
            "noise": {"type": "gaussian_noise", "settings": {"seed": 7}, "seeds": {"seed": "random"}},
            "drawing": {"type": "load_image", "settings": {"path": "drawing.png"}},
            "save": {"type": "save_image", "title": "Keep it"},
            "strange": {"type": "nobody_knows"},
        },
        "wires": [["model.model", "my.words.model"], ["drawing.image", "save.image"]],
        **more,
    }


def view(**app: Any) -> PublicView:
    return public_view(Workflow.of(document(app=app) if app else document()), CATALOG)


def test_what_the_workflow_names_is_shown_in_its_order():
    shown = view(
        inputs=[{"setting": "noise.seed", "label": "Seed"}, {"setting": "my.words.text"}, {"setting": "save.quality"}],
        outputs=[{"node": "drawing"}, {"node": "save"}],
    )
    assert [(each.key, each.label, each.value, each.rule) for each in shown.inputs] == [
        ("noise.seed", "Seed", 7, "random"),
        ("my.words.text", "My words text", "a ring", ""),
        ("save.quality", "Keep it quality", 92, ""),
    ]
    assert [(each.node, each.label) for each in shown.outputs] == [("drawing", "Drawing"), ("save", "Keep it")]
    assert shown.chosen
    assert shown.problems == ()


def test_a_workflow_that_names_nothing_shows_prompts_pictures_and_seeds():
    shown = view()
    assert [each.key for each in shown.inputs] == ["my.words.text", "drawing.path", "noise.seed"]
    assert [each.node for each in shown.outputs] == ["save"]
    assert not shown.chosen


def test_without_a_node_that_saves_the_last_ones_are_shown():
    content = document()
    del content["nodes"]["save"], content["wires"][1]
    shown = public_view(Workflow.of(content), CATALOG)
    assert [each.node for each in shown.outputs] == ["my.words", "noise", "drawing", "strange"]


def test_what_is_not_there_is_told_and_left_out():
    shown = view(
        inputs=[{"setting": "noise.sede"}, {"setting": "noise.seed"}, "noise.seed"],
        outputs=[{"node": "saev"}, {"node": "save"}],
    )
    assert [each.key for each in shown.inputs] == ["noise.seed"]
    assert [each.node for each in shown.outputs] == ["save"]
    told = "\n".join(shown.problems)
    assert 'the setting "noise.sede", which is not there. Did you mean "noise.seed"?' in told
    assert 'the node "saev", which is not there. Did you mean "save"?' in told
    assert "Each of app.inputs must be an object." in told


@pytest.mark.parametrize("app", ["text", 5, [], {"inputs": 5}, {"inputs": [None], "outputs": {}}, None])
def test_an_app_key_of_any_form_is_no_hindrance(app):
    shown = public_view(Workflow.of(document(app=app)), CATALOG)
    assert [each.key for each in shown.inputs] == ["my.words.text", "drawing.path", "noise.seed"]


@pytest.mark.parametrize("seeds", ["random", {"seed": "sometimes"}, {"seed": ["random"]}, {}])
def test_a_rule_nobody_knows_leaves_the_seed_alone(seeds):
    content = document()
    content["nodes"]["noise"]["seeds"] = seeds
    assert public_view(Workflow.of(content), CATALOG).inputs[-1].rule == "fixed"


def test_a_run_is_for_all_that_saves_and_all_that_is_shown():
    workflow = Workflow.of(document())
    assert goals(workflow, CATALOG, view()) is None
    assert goals(workflow, CATALOG, view(outputs=[{"node": "noise"}])) == ("save", "noise")


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.json")), ids=lambda path: path.stem)
def test_shipped_workflows_have_a_form(path):
    workflow = Workflow.read(path)
    shown = public_view(workflow, CATALOG)
    assert shown.problems == ()
    assert shown.inputs
    assert shown.outputs
    assert shown.chosen == ("app" in json.loads(path.read_text()))


def test_names_are_read_as_words():
    assert words("clip_skip") == "Clip skip"
    assert words("my.words") == "My words"
