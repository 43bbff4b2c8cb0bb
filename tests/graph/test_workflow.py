"""A workflow file is read whole or refused with every reason, and saved as it was read until something changes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from time import perf_counter

import pytest

from latentloom.graph import workflow as workflow_module
from latentloom.graph.document import MAX_BYTES, MAX_STRING, WorkflowError
from latentloom.graph.workflow import MAX_NODES, NodeEntry, Wire, Workflow

EXAMPLE = """{
  "format": 1,
  "name": "Text to image",
  "nodes": {
    "model": {"type": "load_model", "settings": {"source": "shapes-unet"}, "at": [0, 0]},
    "sample": {"type": "denoise", "settings": {"steps": 25, "näme": "größe"}, "at": [640, 0.5], "colour": "red"}
  },
  "wires": [
    ["model.model", "sample.model"]
  ],
  "groups": [],
  "notes": [
    {"text": "from a newer version", "at": [1, 2]}
  ],
  "lock": {
    "latentloom": "0.1.0",
    "models": {"shapes-unet": "sha256:1"}
  },
  "later": {
    "kept": true
  }
}
"""


def problems(text: str | bytes, upgrades=()) -> list[str]:
    with pytest.raises(WorkflowError) as refused:
        Workflow.parse(text, upgrades)
    assert str(refused.value).splitlines() == [str(problem) for problem in refused.value.problems]
    return [str(problem) for problem in refused.value.problems]


def test_a_file_is_read():
    found = Workflow.parse(EXAMPLE)
    assert found.name == "Text to image"
    assert found.nodes["model"] == NodeEntry("load_model", {"source": "shapes-unet"}, (0, 0))
    assert found.nodes["sample"].extra == {"colour": "red"}
    assert found.wires == (Wire("model", "model", "sample", "model"),)
    assert found.lock["models"] == {"shapes-unet": "sha256:1"}
    assert found.changes == ()
    assert str(found.wires[0]) == "model.model -> sample.model"


def test_what_dumps_writes_is_what_it_reads():
    assert Workflow.parse(EXAMPLE).dumps() == EXAMPLE


def test_ids_may_hold_dots():
    found = Workflow.of({"format": 1, "nodes": {"a.b": {"type": "x"}}, "wires": [["a.b.out", "c.d.e.in"]]})
    assert found.wires == (Wire("a.b", "out", "c.d.e", "in"),)
    assert found.with_settings({"a.b.steps": 3}).nodes["a.b"].settings == {"steps": 3}


def test_the_smallest_file_is_enough():
    found = Workflow.parse('{"format": 1}')
    assert (found.name, found.nodes, found.wires, found.lock) == ("", {}, (), {})
    assert found.dumps() == '{\n  "format": 1\n}\n'


# ---------------------------------------------------------------- saving


@pytest.mark.parametrize(
    "data",
    [
        EXAMPLE.encode(),
        EXAMPLE.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + EXAMPLE.encode(),
        EXAMPLE.encode() + b"\n\n  ",
        json.dumps(json.loads(EXAMPLE)).encode(),
        json.dumps(json.loads(EXAMPLE), indent=7, sort_keys=True).encode(),
        b'{"nodes":{"a":{"at":[1e2,-0.0],"type":"x","settings":{"v":1.10,"w":1E-7}}},\t"format"  :1}',
    ],
    ids=["as written", "crlf", "byte order mark", "blanks after", "one line", "sorted", "odd numbers"],
)
def test_an_untouched_file_is_saved_byte_for_byte(tmp_path, data):
    (tmp_path / "read.json").write_bytes(data)
    Workflow.read(tmp_path / "read.json").save(tmp_path / "saved.json")
    assert (tmp_path / "saved.json").read_bytes() == data


def test_a_change_touches_one_line():
    changed = Workflow.parse(EXAMPLE).with_settings({"sample.steps": 30}).dumps()
    lines = [(one, other) for one, other in zip(EXAMPLE.split("\n"), changed.split("\n"), strict=True) if one != other]
    assert len(lines) == 1
    assert '"steps": 30' in lines[0][1]


def test_a_changed_workflow_is_saved_changed_and_the_first_one_stays(tmp_path):
    first = Workflow.parse(EXAMPLE)
    first.with_settings({"sample.steps": 30, "model.new": [1]}).save(tmp_path / "x.json")
    again = Workflow.read(tmp_path / "x.json")
    assert again.nodes["sample"].settings == {"steps": 30, "näme": "größe"}
    assert again.nodes["model"].settings == {"source": "shapes-unet", "new": [1]}
    assert again.document["later"] == {"kept": True}
    assert first.nodes["sample"].settings["steps"] == 25
    assert first.with_settings({}) is first


def test_a_lock_is_written_down():
    locked = Workflow.parse(EXAMPLE).with_lock({"torch": "2.13.0"})
    assert Workflow.parse(locked.dumps()).lock == {"torch": "2.13.0"}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"smaple.steps": 1}, 'There is no node "smaple" to set "steps" on. Did you mean "sample"?'),
        ({"steps": 1}, '"steps" names no setting: write it node.setting.'),
        ({".steps": 1}, '".steps" names no setting: write it node.setting.'),
        ({"sample.steps": float("nan")}, "nodes.sample.settings.steps is not a number (NaN); write a finite one."),
        ({"sample.steps": Path()}, "nodes.sample.settings.steps is a PosixPath, which a file cannot hold."),
        (
            {"sample.steps": "x" * (MAX_STRING + 1)},
            f"nodes.sample.settings.steps is text of {MAX_STRING + 1} characters; at most {MAX_STRING} are taken.",
        ),
    ],
)
def test_wrong_settings_are_refused(values, sentence):
    with pytest.raises(WorkflowError) as refused:
        Workflow.parse(EXAMPLE).with_settings(values)
    assert str(refused.value) == sentence


def test_all_wrong_settings_are_told():
    with pytest.raises(WorkflowError) as refused:
        Workflow.parse(EXAMPLE).with_settings({"x.y": 1, "z": 2})
    assert len(refused.value.problems) == 2


def test_a_document_is_copied_and_made_plain():
    nodes = {"a": {"type": "x", "at": (1, 2)}}
    found = Workflow.of({"format": 1, "nodes": nodes, "wires": (("a.b", "c.d"),)})
    nodes["a"]["type"] = "y"
    assert found.nodes["a"].type == "x"
    assert found.document["wires"] == [["a.b", "c.d"]]


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    for path in (tmp_path, tmp_path / "no" / "x.json"):
        with pytest.raises(WorkflowError, match="cannot be written: "):
            Workflow.parse(EXAMPLE).save(path)


# ---------------------------------------------------------------- what is no workflow


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "The file is empty; a workflow is a JSON object {...}."),
        (" \n", "The file is empty; a workflow is a JSON object {...}."),
        ("[]", "A workflow is a JSON object {...}; this is a list."),
        ("3", "A workflow is a JSON object {...}; this is a number."),
        ("null", "A workflow is a JSON object {...}; this is null."),
        ('{"format": 1,\n "nodes" 3}', "The file is not JSON: Expecting ':' delimiter at line 2, column 10."),
        ('{"format": 1,\n "no', "The file ends in the middle (line 2, column 2): part of it seems to be missing."),
        ('{"format": 1,', "The file ends in the middle (line 1, column 14): part of it seems to be missing."),
        ('{"name": "a\tb"}', "The file is not JSON: Invalid control character at line 1, column 12."),
        ('{"format": 1} {', "The file is not JSON: Extra data at line 1, column 15."),
        (b'{"format": 1,\n"\xff": 2}', "The file is not UTF-8 text: byte 0xff in line 2."),
        ("\ud800", "The text holds half a character (a lone surrogate)."),
        ('{"format": 1, "x": NaN}', "x is not a number (NaN); write a finite one."),
        ('{"format": 1, "x": [0, -Infinity]}', "x.1 is too large a number; write a finite one."),
        ('{"format": 1, "x": 1e999}', "x is too large a number; write a finite one."),
        ('{"format": 1, "x": ' + "9" * 5000 + "}", "x is too large a number; write a finite one."),
        ('{"format": 1, "x": "\\ud800"}', "x holds half a character (a lone surrogate), which no file can keep."),
        (
            '{"format": 1, "x": {"\\udfff": 1}}',
            "A key in x holds half a character (a lone surrogate), which no file can keep.",
        ),
        (
            '{"format": 1, "nodes": {"a": {"type": "x"}, "a": {"type": "y"}}}',
            'nodes has the key "a" more than once; keep one of them.',
        ),
        ('{"format": 1, "format": 1}', 'The file has the key "format" more than once; keep one of them.'),
        (
            '{"format": 1, "x": ' + "[" * 100 + "]" * 100 + "}",
            "x" + ".0" * 8 + ".… is nested deeper than 64 levels; a workflow is not.",
        ),
        ("[" * 100_000, "The file is nested deeper than 64 levels; a workflow is not."),
        ("{}", 'The file has no format number; a workflow of today begins {"format": 1, …}.'),
        ('{"format": "1"}', 'The file has text as format number; a workflow of today begins {"format": 1, …}.'),
        (
            '{"format": true}',
            'The file has true or false as format number; a workflow of today begins {"format": 1, …}.',
        ),
        ('{"format": -1}', 'The file has a number as format number; a workflow of today begins {"format": 1, …}.'),
        ('{"format": 2}', "The file has format 2; this version reads up to 1. Upgrade latentloom to open it."),
        ('{"format": 0}', "The file has format 0, and nothing here upgrades it to 1."),
        ('{"format": 1, "nodes": []}', "nodes is a list; it must be an object {...}."),
        ('{"format": 1, "wires": {}}', "wires is an object; it must be a list [...]."),
        ('{"format": 1, "name": 3}', "name is a number; it must be text."),
        ('{"format": 1, "lock": null}', "lock is null; it must be an object {...}."),
        ('{"format": 1, "nodes": {"a": 3}}', 'Node "a" is a number; it must be an object {"type": ...}.'),
        ('{"format": 1, "nodes": {"a": {}}}', 'Node "a" has no type; it must be the name of a kind of node.'),
        (
            '{"format": 1, "nodes": {"a": {"type": 3}}}',
            'Node "a" has a number as its type; it must be the name of a kind of node.',
        ),
        (
            '{"format": 1, "nodes": {"a": {"type": ""}}}',
            'Node "a" has an empty type; it must be the name of a kind of node.',
        ),
        (
            '{"format": 1, "nodes": {"a": {"type": "x", "settings": []}}}',
            'Node "a": settings is a list; it must be an object.',
        ),
        ('{"format": 1, "nodes": {"a": {"type": "x", "at": [1]}}}', 'Node "a": at must be two numbers, [x, y].'),
        ('{"format": 1, "nodes": {"a": {"type": "x", "at": [true, 1]}}}', 'Node "a": at must be two numbers, [x, y].'),
        (
            '{"format": 1, "nodes": {"": {"type": "x"}}}',
            '"" is no name for a node: 1 to 200 printable characters are taken.',
        ),
        (
            '{"format": 1, "nodes": {"a\\nb": {"type": "x"}}}',
            '"a\\nb" is no name for a node: 1 to 200 printable characters are taken.',
        ),
        ('{"format": 1, "wires": [["a.b"]]}', 'Wire 1 is not written ["node.output", "node.input"].'),
        (
            '{"format": 1, "wires": [["a.b", "c.d"], ["a.b", "c.d", 3]]}',
            'Wire 2 is not written ["node.output", "node.input"].',
        ),
        ('{"format": 1, "wires": [["a", ".b"]]}', 'Wire 1 is not written ["node.output", "node.input"].'),
        ('{"format": 1, "wires": [{"a.b": "c.d"}]}', 'Wire 1 is not written ["node.output", "node.input"].'),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else None,
)
def test_sentence(text, sentence):
    assert problems(text) == [sentence]


def test_everything_wrong_with_the_form_is_told():
    text = '{"format": 1, "nodes": {"a": 1, "b": {"type": 2, "settings": 3, "at": 4}}, "wires": [1, ["a.b", "c.d"], 2]}'
    assert len(problems(text)) == 6
    assert len(problems('{"x": NaN, "x": 1e999, "y": [NaN, "\\ud800"]}')) == 4
    assert len(problems('{"format": 1, "nodes": [], "wires": {}, "name": 1}')) == 3


# ---------------------------------------------------------------- what is too much


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            json.dumps({"format": 1, "nodes": {f"n{i}": {"type": "x"} for i in range(10_000)}}),
            f"The workflow has 10000 nodes; at most {MAX_NODES} are taken.",
        ),
        (
            json.dumps({"format": 1, "wires": [["a.b", "c.d"]] * 60_000}),
            "The workflow has 60000 wires; at most 50000 are taken.",
        ),
        (
            json.dumps({"format": 1, "name": "x" * 2_000_000}),
            f"name is text of 2000000 characters; at most {MAX_STRING} are taken.",
        ),
        ('{"format": 1, "x": "' + "x" * MAX_BYTES + '"}', "The file has 17 MB; a workflow has at most 16 MB."),
        (
            '{"format": 1, "x": [' + "0," * 2_000_000 + "0]}",
            "The file holds more than 500000 values; a workflow has fewer.",
        ),
        ("[" * (MAX_BYTES - 1), "The file is nested deeper than 64 levels; a workflow is not."),
    ],
    ids=["nodes", "wires", "name", "bytes", "values", "depth"],
)
def test_too_much_is_refused_quickly(text, sentence):
    begun = perf_counter()
    assert problems(text) == [sentence]
    assert perf_counter() - begun < 10  # a second on an idle core


def test_a_file_of_two_gigabytes_is_not_read(tmp_path):
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(2 << 30)
    begun = perf_counter()
    with pytest.raises(WorkflowError, match="has 2147 MB; a workflow has at most 16 MB"):
        Workflow.read(tmp_path / "large.json")
    assert perf_counter() - begun < 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_only_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(WorkflowError, match="is not a file"):
            Workflow.read(path)


@pytest.mark.parametrize("path", ["no.json", "no/no.json", "\0", "x" * 5000, "\ud800"])
def test_a_path_to_nothing_is_told(tmp_path, path):
    with pytest.raises(WorkflowError) as refused:
        Workflow.read(f"{tmp_path}/{path}")
    str(refused.value).encode()


# ---------------------------------------------------------------- upgrades


@pytest.fixture
def format_three(monkeypatch):
    monkeypatch.setattr(workflow_module, "FORMAT", 3)

    def step(number):
        def upgrade(document):
            document["nodes"][f"new{number}"] = {"type": "x"}
            return document, f"Change {number}." if number != 1 else ""

        return upgrade

    return [step(number) for number in range(3)]


@pytest.mark.parametrize(
    ("number", "added", "changes"),
    [
        (0, ["new0", "new1", "new2"], ("Change 0.", "Change 2.")),
        (1, ["new1", "new2"], ("Change 2.",)),
        (2, ["new2"], ("Change 2.",)),
        (3, [], ()),
    ],
)
def test_upgrades_are_applied_in_order_from_the_format_of_the_file(format_three, number, added, changes):
    text = json.dumps({"format": number, "nodes": {}, "later": [1]})
    found = Workflow.parse(text, format_three)
    assert list(found.nodes) == added
    assert found.changes == changes
    assert found.document["later"] == [1]
    assert found.document["format"] == 3
    assert (found.data.decode() == text) == (number == 3)
    assert found.with_settings({"new2.x": 1} if added else {}).changes == changes
    assert Workflow.parse(found.data, format_three).changes == ()
