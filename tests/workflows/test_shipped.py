"""Each workflow that ships is sound, laid out to be read, and makes a picture on the model that ships."""

import json
from itertools import pairwise
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image as Pillow

from latentloom.app.folders import SHIPPED
from latentloom.graph.catalog import Catalog
from latentloom.graph.provenance import read_provenance
from latentloom.graph.workflow import Workflow
from latentloom.nodes.catalog import NODES
from latentloom.nodes.schedule.samplers import Name

CATALOG = Catalog(NODES, "latentloom.nodes")
NAMES = ("text_to_image", "image_to_image", "inpaint", "sampler_grid", "seed_grid", "gallery")
SIZES = {
    "text_to_image": (256, 256),
    "image_to_image": (2 * 192 + 3 * 8, None),
    "inpaint": (2 * 192 + 3 * 8, None),
    "sampler_grid": (5 * 192 + 6 * 8, None),
    "seed_grid": (3 * 192 + 4 * 8, None),
    "gallery": (4 * 192 + 5 * 8, None),
}


METHODS = sorted(f"methods/{path.stem}" for path in SHIPPED.glob("methods/*.json"))


def shipped(name: str) -> Workflow:
    return Workflow.read(SHIPPED / f"{name}.json")


def test_these_ship():
    assert {path.stem for path in SHIPPED.glob("*.json")} == set(NAMES)


@pytest.mark.parametrize("name", [*NAMES, *METHODS])
def test_it_is_sound(cli, name):
    result = cli("check", name)
    assert result.exit_code == 0, result.output


def height(kind: str) -> int:
    """Pixels a node of this kind takes on the canvas at the least, without pictures."""
    node = CATALOG[kind]
    return 40 + 20 * max(len(node.inputs), len(node.outputs)) + 30 * len(node.settings)


@pytest.mark.parametrize("name", [*NAMES, *METHODS])
def test_it_reads_well_as_text_and_on_a_canvas(name):
    workflow = shipped(name)
    assert (SHIPPED / f"{name}.json").read_text("utf-8") == workflow.dumps()  # one node, one wire a line
    assert workflow.name and len(workflow.document["notes"][0]["text"]) > 100
    places = {id_: node.at for id_, node in workflow.nodes.items() if node.at is not None}
    assert places.keys() == workflow.nodes.keys()
    for wire in workflow.wires:  # from left to right, or down a column
        assert places[wire.source][0] <= places[wire.target][0], str(wire)
    for id_, below in pairwise(sorted(places, key=lambda each: places[each])):
        (column, row), (next_column, next_row) = places[id_], places[below]
        assert next_column - column >= 300 or next_row - row >= height(workflow.nodes[id_].type), (id_, below)


@pytest.mark.parametrize("name", NAMES)
def test_it_makes_a_picture_that_tells_how(cli, tmp_path, name):
    result = cli("run", name, "--set", "schedule.steps=4", "--json")
    assert result.exit_code == 0, result.output
    (file,) = json.loads(result.stdout)["files"]
    with Pillow.open(tmp_path / file) as picture:
        width, height = SIZES[name]
        assert picture.width == width and height in (None, picture.height)
        assert np.ptp(np.asarray(picture.convert("RGB"))) > 60  # not one flat colour
    found = read_provenance(tmp_path / file)
    assert found is not None and found.settings["schedule.steps"] == 4
    assert Workflow.parse(found.workflow).nodes.keys() == shipped(name).nodes.keys()
    assert {"latentloom", "torch", "diffusers"} <= found.lock.keys() and "shapes-unet" in found.lock["models"]


def test_the_picture_makes_itself_again(cli, tmp_path):
    cli("run", "text_to_image", "--set", "schedule.steps=3", "--set", "noise.seed=5")
    (tmp_path / "out/Text_to_image_0001.png").rename(tmp_path / "mine.png")
    assert cli("run", "mine.png", "--set", "save.name=again").exit_code == 0
    mine, again = (Pillow.open(tmp_path / name).convert("RGB").tobytes() for name in ("mine.png", "out/again.png"))
    assert mine == again
    assert cli("run", "mine.png", "--set", "save.name=other", "--set", "noise.seed=6").exit_code == 0
    assert Pillow.open(tmp_path / "out/other.png").convert("RGB").tobytes() != mine


def test_the_sampler_grid_shows_every_sampler():
    workflow = shipped("sampler_grid")
    names = list(get_args(Name))
    assert workflow.nodes["sheet"].settings["labels"].split("\n") == names
    wired = [wire.source for wire in workflow.wires if wire.target == "sheet"]
    assert wired == [f"{name}_picture" for name in names]
    for name in names:
        assert workflow.nodes[name].settings == {"name": name}
        assert f"{name}.sampler -> {name}_sample.sampler" in map(str, workflow.wires)


def test_the_seed_grid_labels_every_image():
    nodes = shipped("seed_grid").nodes
    assert len(nodes["sheet"].settings["labels"].split("\n")) == nodes["canvas"].settings["batch"]


def test_inputs_are_small():
    assert sum(path.stat().st_size for path in Path(SHIPPED / "input").iterdir()) < 30_000
