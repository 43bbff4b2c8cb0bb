"""The reference says what the functions say."""

import enum
import json
from typing import Annotated, Literal

import pytest
from arithmetic import CATALOG
from pydantic import Field, TypeAdapter

from latentloom.app.reference import catalog_of, describe, kind, markdown
from latentloom.graph.catalog import Catalog
from latentloom.graph.node import declaration, node
from latentloom.nodes.catalog import NODES
from latentloom.nodes.types import Image, Latent


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@node(category="test")
def mix(
    images: tuple[Image, ...],
    latent: Latent | None = None,
    part: Annotated[float, Field(ge=0, le=1, description="how much | of it")] = 0.5,
    name: str = "",
) -> Image:
    """Mix images.

    After https://arxiv.org/abs/2006.11239.
    """
    raise NotImplementedError


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "whole number"),
        (Annotated[int, Field(ge=1, le=1000)], "whole number from 1 to 1000"),
        (Annotated[float, Field(gt=0)], "number, above 0"),
        (Annotated[float, Field(ge=0, lt=1)], "number, at least 0, below 1"),
        (str, "text"),
        (bool, "true or false"),
        (Literal["png", "jpeg"], "png | jpeg"),
        (Literal["png"], "png"),
        (Colour, "red | blue"),
        (int | None, "whole number or nothing"),
        (Colour | None, "red | blue or nothing"),
        (tuple[int, ...], "list of whole number"),
    ],
)
def test_what_a_setting_takes_in_words(annotation, words):
    assert kind(TypeAdapter(annotation).json_schema()) == words


def test_a_description_holds_ports_settings_and_links():
    found = describe(declaration(mix))
    assert json.loads(json.dumps(found)) == found
    assert found["summary"] == "Mix images." and found["links"] == ["https://arxiv.org/abs/2006.11239"]
    assert found["inputs"] == [
        {"name": "images", "types": ["Image"], "optional": False, "many": True},
        {"name": "latent", "types": ["Latent"], "optional": True, "many": False},
    ]
    assert found["outputs"] == [{"name": "image", "types": ["Image"]}]
    assert [(each["name"], each["kind"], each["default"]) for each in found["settings"]] == [
        ("part", "number from 0 to 1", 0.5),
        ("name", "text", ""),
    ]


def test_a_catalog_holds_nodes_types_and_what_cannot_be_used():
    found = catalog_of(Catalog({**NODES, "gone": "image.gone"}, "latentloom.nodes"))
    assert json.loads(json.dumps(found)) == found
    places = [(node["category"], node["name"]) for node in found["nodes"]]
    assert places == sorted(places) and {node["name"] for node in found["nodes"]} == set(NODES)
    assert found["types"]["Image"] == ["Image"] and "Model" in found["types"]
    assert "gone" in found["problems"][0]["sentence"] and found["problems"][0]["node"] is None


def test_a_type_is_told_with_those_it_is_a_kind_of():
    assert catalog_of(CATALOG)["types"]["Even"] == ["Even", "Number"]


def test_settings_tell_what_they_read_and_write():
    nodes = {node["name"]: node for node in catalog_of(Catalog(NODES, "latentloom.nodes"))["nodes"]}
    settings = {name: {each["name"]: each for each in node["settings"]} for name, node in nodes.items()}
    assert settings["load_image"]["path"]["reads"] == "input" and settings["load_model"]["source"]["reads"] == "models"
    assert settings["save_image"]["name"]["writes"] and not settings["save_image"]["quality"]["writes"]
    assert settings["resize"]["width"]["reads"] is None
    titles = {name: nodes[name]["title"] for name in ("encode_prompt", "cfg", "apg")}
    assert titles == {"encode_prompt": "Encode prompt", "cfg": "CFG", "apg": "APG"}, "in words, or as its node says"


def test_the_page_can_draw_every_setting_by_its_schema_alone():
    nodes = catalog_of(Catalog(NODES, "latentloom.nodes"))["nodes"]
    formats = {
        (node["name"], each["name"]): each["schema"].get("format") for node in nodes for each in node["settings"]
    }
    assert {key: value for key, value in formats.items() if key[1] == "seed" and value != "seed"} == {}
    assert formats["encode_prompt", "text"] == formats["prompt_list", "text"] == "textarea"
    assert "$ref" not in json.dumps(nodes) and "$defs" not in json.dumps(nodes)


def test_definitions_are_written_where_they_are_used():
    @node(category="test")
    def paint(colour: Colour | None = Colour.RED) -> Image:
        raise NotImplementedError

    schema = describe(declaration(paint))["settings"][0]["schema"]
    assert schema["anyOf"][0]["enum"] == ["red", "blue"] and schema["default"] == "red" and "$defs" not in schema


def test_markdown_escapes_its_table():
    page = markdown([describe(declaration(mix))])
    assert "| `part` | number from 0 to 1 | `0.5` | how much \\| of it |" in page
    assert "`images` (Image, any number)" in page and "<https://arxiv.org/abs/2006.11239>" in page


def test_all_nodes_are_listed(cli):
    result = cli("nodes")
    assert result.exit_code == 0 and all(f"  {name} " in result.stdout for name in NODES)


def test_one_node_is_shown_in_full(cli):
    result = cli("nodes", "resize")
    assert result.exit_code == 0
    for part in ("Inputs", "image", "whole number from 0 to 16384", "stretch | cover | contain", "default lanczos"):
        assert part in result.stdout


def test_json_and_markdown(cli):
    assert {each["name"] for each in json.loads(cli("nodes", "--json").stdout)["nodes"]} == set(NODES)
    assert json.loads(cli("nodes", "resize", "--json").stdout)["nodes"][0]["category"] == "image"
    assert cli("nodes", "resize", "--markdown").stdout.startswith("## resize\n")


def test_a_name_mistyped(cli):
    result = cli("nodes", "resise")
    assert result.exit_code == 2 and 'Did you mean "resize"' in result.stderr
    document = json.loads(cli("nodes", "resise", "--json").stdout)
    assert not document["ok"] and "resise" in document["problems"][0]["sentence"]
