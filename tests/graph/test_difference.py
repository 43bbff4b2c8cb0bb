"""Two workflows differ in what they mean, whatever their nodes are called and wherever they stand."""

from __future__ import annotations

import copy
import random
import time
from typing import Any

import pytest
from arithmetic import CATALOG
from hypothesis import given, settings
from hypothesis import strategies as st

from latentloom.graph.difference import Difference, canonical, difference
from latentloom.graph.workflow import Workflow

Document = dict[str, Any]

BASE: Document = {
    "format": 1,
    "nodes": {
        "one": {"type": "number", "settings": {"value": 1}},
        "two": {"type": "number", "settings": {"value": 2}},
        "sum": {"type": "add", "settings": {}},
        "word": {"type": "spell", "settings": {}},
    },
    "wires": [["one.number", "sum.numbers"], ["two.number", "sum.numbers"], ["sum.number", "word.number"]],
}


def compare(before: Document, after: Document, catalog: Any = None) -> Difference:
    return difference(Workflow.of(before), Workflow.of(after), catalog)


def changed(**nodes: Any) -> Document:
    """BASE with the entries of some nodes replaced; `None` takes one away."""
    document = copy.deepcopy(BASE)
    for id_, entry in nodes.items():
        document["nodes"][id_] = entry
    document["nodes"] = {id_: entry for id_, entry in document["nodes"].items() if entry}
    return document


def renamed(document: Document, names: dict[str, str], order: random.Random | None = None) -> Document:
    """With other names, and with `order` the nodes shuffled in the file."""

    def end(port: str) -> str:
        node, _, name = port.rpartition(".")
        return f"{names[node]}.{name}"

    entries = [(names[id_], entry) for id_, entry in document["nodes"].items()]
    if order:
        order.shuffle(entries)
    wires = [[end(source), end(target)] for source, target in document["wires"]]
    return {**document, "nodes": dict(entries), "wires": wires}


# ---------------------------------------------------------------- what is told


def test_a_workflow_differs_from_itself_in_nothing():
    assert compare(BASE, BASE) == Difference()


def test_what_is_only_drawn_does_not_count():
    dressed = changed(one={"type": "number", "settings": {"value": 1}, "at": [9, 9], "title": "A", "collapsed": True})
    dressed |= {"name": "Else", "notes": [{"text": "x"}], "groups": [{"title": "x"}], "lock": {"torch": "3"}}
    assert compare(BASE, dressed).is_empty


def test_a_setting():
    found = compare(BASE, changed(one={"type": "number", "settings": {"value": 5}}))
    assert found == Difference(changed=({"node": "one", "setting": "value", "before": 1, "after": 5},))
    assert not found.is_empty


def test_numbers_are_compared_by_value_and_not_with_truths():
    def valued(value: Any) -> Document:
        return changed(one={"type": "number", "settings": {"value": value}})

    assert compare(valued(2), valued(2.0)).is_empty
    assert compare(valued([1, {"a": 2.0}]), valued([1.0, {"a": 2}])).is_empty
    assert not compare(valued(1), valued(True)).is_empty
    assert not compare(valued(None), valued(0)).is_empty
    assert not compare(valued("1"), valued(1)).is_empty


def test_a_setting_only_one_has():
    found = compare(BASE, changed(word={"type": "spell", "settings": {"style": "digits"}}))
    assert found.changed == ({"node": "word", "setting": "style", "after": "digits"},)
    (back,) = compare(changed(word={"type": "spell", "settings": {"style": None}}), BASE).changed
    assert back == {"node": "word", "setting": "style", "before": None}


def test_with_a_catalog_a_default_written_out_is_no_change():
    assert compare(BASE, changed(word={"type": "spell", "settings": {"style": "digits"}}), CATALOG).is_empty
    (found,) = compare(BASE, changed(word={"type": "spell", "settings": {"style": "roman"}}), CATALOG).changed
    assert found == {"node": "word", "setting": "style", "before": "digits", "after": "roman"}


def test_nodes_the_catalog_does_not_know_are_compared_as_they_are():
    foreign = changed(one={"type": "foreign", "settings": {"x": 1}})
    other = changed(one={"type": "foreign", "settings": {"x": 2}})
    assert [change["setting"] for change in compare(foreign, other, CATALOG).changed] == ["x"]


def test_nodes_that_come_and_go_with_their_wires():
    after = changed(two=None)
    after["wires"] = [["one.number", "sum.numbers"], ["sum.number", "word.number"]]
    gone = compare(BASE, after)
    assert gone == Difference(
        removed=({"node": "two", "type": "number"},), wires_removed=(("two.number", "sum.numbers"),)
    )
    come = compare(after, BASE)
    assert come == Difference(added=({"node": "two", "type": "number"},), wires_added=(("two.number", "sum.numbers"),))


def test_a_node_of_another_type():
    found = compare(BASE, changed(one={"type": "double", "settings": {}}))
    assert found == Difference(retyped=({"node": "one", "before": "number", "after": "double"},))


def test_modes():
    found = compare(BASE, changed(one={**BASE["nodes"]["one"], "mode": "mute"}))
    assert found == Difference(modes=({"node": "one", "before": None, "after": "mute"},))


def test_a_wire_put_elsewhere():
    after = copy.deepcopy(BASE)
    after["wires"][2] = ["one.number", "word.number"]
    found = compare(BASE, after)
    assert found.wires_removed == (("sum.number", "word.number"),)
    assert found.wires_added == (("one.number", "word.number"),)


def test_the_order_of_wires_into_one_input_counts_and_between_inputs_does_not():
    swapped = {**BASE, "wires": [BASE["wires"][1], BASE["wires"][0], BASE["wires"][2]]}
    found = compare(BASE, swapped)
    assert len(found.wires_removed) == 1 and found.wires_removed == found.wires_added
    assert compare(BASE, {**BASE, "wires": [BASE["wires"][2], *BASE["wires"][:2]]}).is_empty


def test_as_few_wires_as_possible_have_moved():
    nodes = {f"n{i}": {"type": "number"} for i in range(9)} | {"sum": {"type": "add"}}
    wires = [[f"n{i}.number", "sum.numbers"] for i in range(9)]
    before = {"format": 1, "nodes": nodes, "wires": wires}
    found = compare(before, {**before, "wires": [*wires[1:], wires[0]]})
    assert found.wires_removed == (("n0.number", "sum.numbers"),) == found.wires_added


# ---------------------------------------------------------------- names


def test_a_renamed_node_is_no_removal():
    names = {"one": "first", "two": "two", "sum": "total", "word": "word"}
    found = compare(BASE, renamed(BASE, names))
    assert found.is_empty
    renames = ({"before": "one", "after": "first"}, {"before": "sum", "after": "total"})
    assert sorted(found.renamed, key=str) == sorted(renames, key=str)


def test_a_node_renamed_and_set_anew_is_found_by_its_wires():
    after = renamed(BASE, {"one": "first", "two": "two", "sum": "sum", "word": "word"})
    after["nodes"]["first"] = {"type": "number", "settings": {"value": 7}}
    found = compare(BASE, after)
    assert found.changed == ({"node": "first", "setting": "value", "before": 1, "after": 7},)
    assert not (found.added or found.removed or found.wires_added or found.wires_removed)


def test_a_node_renamed_and_wired_anew_is_found_by_its_settings():
    after = renamed(BASE, {"one": "first", "two": "two", "sum": "sum", "word": "word"})
    after["wires"][0] = ["first.number", "word.number"]
    found = compare(BASE, after)
    assert found.renamed == ({"before": "one", "after": "first"},)
    assert found.wires_removed == (("one.number", "sum.numbers"),)
    assert found.wires_added == (("first.number", "word.number"),)
    assert not (found.added or found.removed)


def test_a_type_alone_is_no_likeness():
    before = {"format": 1, "nodes": {"a": {"type": "number", "settings": {"value": 1}}}, "wires": []}
    after = {"format": 1, "nodes": {"b": {"type": "number", "settings": {"value": 2}}}, "wires": []}
    found = compare(before, after)
    assert [node["node"] for node in (*found.removed, *found.added)] == ["a", "b"]


def test_names_that_were_exchanged():
    swapped = renamed(BASE, {"one": "sum", "sum": "one", "two": "two", "word": "word"})
    assert compare(BASE, swapped).is_empty


def test_twins_are_told_apart_by_the_order_of_their_wires():
    twins = {id_: {"type": "number", "settings": {}} for id_ in "ab"}
    before = {"format": 1, "nodes": {**twins, "sum": {"type": "add"}}}
    before["wires"] = [["a.number", "sum.numbers"], ["b.number", "sum.numbers"]]
    after = renamed(before, {"a": "x", "b": "y", "sum": "total"})
    after["nodes"] = dict(reversed(after["nodes"].items()))
    assert compare(before, after).is_empty


# ---------------------------------------------------------------- any workflow


@st.composite
def documents(draw, most=10) -> Document:
    kinds = draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=most))
    nodes = {
        f"n{i}": {"type": kind, "settings": draw(st.dictionaries(st.sampled_from("xy"), st.integers(0, 1)))}
        for i, kind in enumerate(kinds)
    }
    pairs = st.tuples(st.sampled_from(list(nodes)), st.sampled_from("oq"), st.sampled_from(list(nodes)))
    wires = draw(st.lists(pairs, unique=True, max_size=14))
    return {"format": 1, "nodes": nodes, "wires": [[f"{a}.{port}", f"{b}.in"] for a, port, b in wires if a < b]}


@settings(deadline=None, max_examples=100)
@given(documents(), st.randoms(use_true_random=False))
def test_names_and_order_in_the_file_mean_nothing(document, order):
    names = list(document["nodes"])
    others = [f"m{i}" for i in range(len(names))]
    order.shuffle(others)
    found = compare(document, renamed(document, dict(zip(names, others, strict=True)), order))
    assert found.is_empty, found


@settings(deadline=None, max_examples=100)
@given(documents(), documents())
def test_what_one_way_adds_the_other_way_takes_away(before, after):
    there, back = compare(before, after), compare(after, before)
    assert there.is_empty == back.is_empty
    if not (there.renamed or back.renamed):
        assert sorted(there.added, key=str) == sorted(back.removed, key=str)
        assert len(there.changed) == len(back.changed) and len(there.modes) == len(back.modes)
        assert sorted(there.wires_added) == sorted(back.wires_removed)
        assert sorted(there.wires_removed) == sorted(back.wires_added)


@settings(deadline=None, max_examples=100)
@given(documents(), documents())
def test_the_difference_makes_the_one_of_the_other(before, after):
    """Applied to the wires and nodes of the first, it gives those of the second."""
    found = compare(before, after)
    names = {id_: id_ for id_ in before["nodes"]} | {pair["before"]: pair["after"] for pair in found.renamed}
    left = {names[id_] for id_ in before["nodes"] if id_ not in {gone["node"] for gone in found.removed}}
    assert left | {new["node"] for new in found.added} == set(after["nodes"])
    assert not left & {new["node"] for new in found.added}
    kept = [tuple(wire) for wire in before["wires"] if tuple(wire) not in found.wires_removed]
    mapped = {tuple(f"{names[end.rpartition('.')[0]]}.{end.rpartition('.')[2]}" for end in wire) for wire in kept}
    assert mapped | set(found.wires_added) == {tuple(wire) for wire in after["wires"]}


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda part: st.lists(part), max_leaves=8))
def test_comparable_text_tells_values_apart(value):
    assert canonical(value) == canonical(copy.deepcopy(value))
    assert canonical([value]) != canonical(value)


# ---------------------------------------------------------------- size


@pytest.mark.parametrize("alike", [False, True], ids=["all different", "all alike"])
def test_a_workflow_of_two_thousand_nodes_renamed_throughout(alike):
    nodes = {f"n{i}": {"type": "add", "settings": {} if alike else {"plus": i}} for i in range(2000)}
    wires = [[f"n{i}.number", f"n{i + 1}.numbers"] for i in range(1999)]
    document = {"format": 1, "nodes": nodes, "wires": wires}
    names = {id_: f"m{id_}" for id_ in nodes}
    begun = time.monotonic()
    found = compare(document, renamed(document, names, random.Random(0)))
    assert time.monotonic() - begun < 10
    assert alike or found.is_empty
