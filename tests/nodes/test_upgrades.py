"""Old files become current ones, and their reader is told."""

import json

import pytest

from latentloom.graph.document import WorkflowError
from latentloom.graph.workflow import FORMAT, Workflow
from latentloom.nodes.upgrades import UPGRADES

FORMAT_0 = {
    "format": 0,
    "name": "Old",
    "nodes": {
        "model": {"type": "load_model", "source": "shapes-unet", "at": [0, 0]},
        "latent": {"type": "empty_latent", "width": 32, "height": 64},
        "plain": {"type": "decode"},
    },
    "wires": [{"from": "model.model", "to": "latent.model"}],
    "later": 3,
}


def test_there_is_an_upgrade_for_every_format_there_was():
    assert len(UPGRADES) == FORMAT


def test_settings_and_wires_of_format_0_are_named():
    found = Workflow.parse(json.dumps(FORMAT_0), UPGRADES)
    assert {id_: (entry.type, dict(entry.settings), entry.at) for id_, entry in found.nodes.items()} == {
        "model": ("load_model", {"source": "shapes-unet"}, (0, 0)),
        "latent": ("empty_latent", {"width": 32, "height": 64}, None),
        "plain": ("decode", {}, None),
    }
    assert [str(wire) for wire in found.wires] == ["model.model -> latent.model"]
    assert (found.name, found.document["later"]) == ("Old", 3)
    assert found.changes == ("The settings of each node now stand under its settings, and wires are written as pairs.",)
    assert Workflow.parse(found.dumps()).nodes == found.nodes


@pytest.mark.parametrize("part", ["nodes", "wires"])
@pytest.mark.parametrize("junk", [None, 3, "x", [], {}, [3], {"a": 3}, {"a": {"settings": 3}}, [{"from": 3}], [["a"]]])
def test_what_an_upgrade_does_not_understand_it_leaves(part, junk):
    try:
        found = Workflow.parse(json.dumps({**FORMAT_0, part: junk}), UPGRADES)
    except WorkflowError as refused:
        assert refused.problems
    else:
        assert found.document[part] == junk
