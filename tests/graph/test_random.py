"""Whatever the graph, it runs in a valid order and each node once; whatever the file, there are sentences."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest
from arithmetic import CATALOG, Number, workflow
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latentloom.graph import events
from latentloom.graph.check import check
from latentloom.graph.files import Files
from latentloom.graph.run import CheckFailed, run
from latentloom.graph.store import MemoryStore
from latentloom.graph.workflow import Workflow, WorkflowError
from latentloom.nodes.upgrades import UPGRADES

# ---------------------------------------------------------------- random graphs


@st.composite
def graphs(draw, most=14):
    """Ids in file order, and for each the sources of its sum: a random acyclic graph in random order."""
    ids = [f"n{i}" for i in range(draw(st.integers(1, most)))]
    sources = {
        id_: draw(st.lists(st.sampled_from(ids[:place]), unique=True, max_size=4)) if place else []
        for place, id_ in enumerate(ids)
    }
    return {id_: sources[id_] for id_ in draw(st.permutations(ids))}


def build(sources, plus=None, failing=()):
    """Nodes without sources give a number; the others sum up, or divide by nothing where they are to fail."""
    plus = plus or {}
    nodes: dict[str, Any] = {"zero": ("number", {"value": 0})} if failing else {}
    wires = []
    for id_, from_ in sources.items():
        if id_ in failing:
            nodes[id_] = "divide"
            top = from_[0] if from_ else "zero"
            wires += [f"{top}.number -> {id_}.top", f"zero.number -> {id_}.bottom"]
        elif from_:
            nodes[id_] = ("add", {"plus": plus.get(id_, 0)})
            wires += [f"{source}.number -> {id_}.numbers" for source in from_]
        else:
            nodes[id_] = ("number", {"value": plus.get(id_, 1)})
    return workflow(nodes, *wires)


def above(sources, goals):
    """The goals and all they depend on."""
    found, waiting = set(), list(goals)
    while waiting:
        id_ = waiting.pop()
        if id_ not in found:
            found.add(id_)
            waiting += sources[id_]
    return found


def value(sources, id_, plus):
    return sum(value(sources, source, plus) for source in sources[id_]) + plus.get(id_, 0 if sources[id_] else 1)


@settings(deadline=None)
@given(graphs(), st.data())
def test_a_run_is_in_a_valid_order_and_each_node_runs_once(sources, data):
    goals = data.draw(st.none() | st.lists(st.sampled_from(list(sources)), min_size=1, unique=True), "goals")
    plus = {id_: place for place, id_ in enumerate(sources)}  # no two nodes are equal
    heard = []
    result = run(build(sources, plus), CATALOG, goals=goals, tell=heard.append)
    taken = {source for from_ in sources.values() for source in from_}
    wanted = goals or [id_ for id_ in sources if id_ not in taken]
    assert {goal: found["number"] for goal, found in result.values.items()} == {
        goal: Number(value(sources, goal, plus)) for goal in wanted
    }
    began = [event.node for event in heard if isinstance(event, events.Started)]
    assert len(began) == len(set(began))
    assert set(began) == above(sources, wanted) == set(result.outcomes)
    assert began == list(heard[0].nodes)
    for place, id_ in enumerate(began):
        assert set(sources[id_]) <= set(began[:place])


@settings(deadline=None)
@given(graphs(), st.data())
def test_a_second_run_computes_what_changed_and_what_the_store_forgot(sources, data):
    plus = {id_: place for place, id_ in enumerate(sources)}
    store = MemoryStore(1 << 20)
    run(build(sources, plus), CATALOG, store=store)
    changed = data.draw(st.sampled_from(list(sources)), "changed")
    plus[changed] += 50
    result = run(build(sources, plus), CATALOG, store=store)
    assert all(result.values[goal]["number"] == Number(value(sources, goal, plus)) for goal in result.values)
    below = {id_ for id_ in sources if changed in above(sources, [id_])}
    assert {id_ for id_, outcome in result.outcomes.items() if outcome.status == "done"} == below

    room = data.draw(st.integers(0, 2000), "room")
    small = MemoryStore(room)
    for _ in range(2):
        result = run(build(sources, plus), CATALOG, store=small)
        assert all(result.values[goal]["number"] == Number(value(sources, goal, plus)) for goal in result.values)


@settings(deadline=None)
@given(graphs(), st.data())
def test_failures_stop_what_depends_on_them_and_nothing_else(sources, data):
    failing = data.draw(st.sets(st.sampled_from(list(sources)), min_size=1, max_size=3), "failing")
    plus = {id_: place for place, id_ in enumerate(sources)}
    result = run(build(sources, plus, failing), CATALOG, goals=list(sources))
    heads = {id_: sources[id_][:1] if id_ in failing else sources[id_] for id_ in sources}  # a quotient has one top
    for id_ in sources:
        upstream = above(heads, [id_]) - {id_}
        expected = "skipped" if upstream & failing else "failed" if id_ in failing else "done"
        assert result.outcomes[id_].status == expected
        assert (id_ in result.values) == (expected == "done")


# ---------------------------------------------------------------- random files

FILES = [
    {
        "format": 1,
        "name": "Sums",
        "nodes": {
            "a": {"type": "number", "settings": {"value": 3}, "at": [0, 0.5]},
            "b": {"type": "double", "at": [10, 0], "colour": "red"},
            "c": {"type": "halve"},
            "d": {"type": "add", "settings": {"plus": -1}},
            "e": {"type": "spell", "settings": {"style": "digits"}},
            "f": {"type": "join", "settings": {"separator": ", "}},
            "g": {"type": "show", "settings": {}},
            "h": {"type": "unknown", "settings": {"x": [1, {"y": None}]}},
        },
        "wires": [
            ["a.number", "b.number"],
            ["b.even", "c.even"],
            ["c.low", "d.numbers"],
            ["c.high", "d.numbers"],
            ["d.number", "e.number"],
            ["e.text", "f.first"],
            ["f.text", "g.text"],
        ],
        "groups": [{"nodes": ["a", "b"]}],
        "notes": [],
        "lock": {"latentloom": "0.1.0", "models": {}},
        "later": True,
    },
    {
        "format": 1,
        "nodes": {
            "in": {"type": "read", "settings": {"path": "in.txt"}},
            "out": {"type": "write", "settings": {"name": "folder/out.txt"}},
            "n": {"type": "number"},
            "steps": {"type": "count", "settings": {"steps": 4}},
        },
        "wires": [["in.text", "out.text"], ["n.number", "steps.number"]],
    },
    {
        "format": 0,
        "nodes": {"a": {"type": "number", "value": 3}, "b": {"type": "double", "at": [1, 2]}},
        "wires": [{"from": "a.number", "to": "b.number"}],
    },
]


class Twin(str):
    """A key that may stand beside its equal."""

    __hash__ = object.__hash__

    def __eq__(self, other):
        return self is other


def nested(depth):
    value = 0
    for _ in range(depth):
        value = [value]
    return value


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 12),
    st.sampled_from([10**20, -(10**39), 10**400, 1.5, -0.0, 1e308, math.nan, math.inf, -math.inf]),
    st.sampled_from(
        ["", "a", "a.number", "b.number", "add", "show", "../../etc/passwd", "/etc/passwd", "\0", "\ud800"]
    ),
    st.text(max_size=5),
    st.sampled_from([[], {}, [[]], [{}], {"": 0}, {"a": {"type": "number"}}, ["a.number", "d.numbers"]]),
    st.sampled_from([nested(60), nested(70), nested(300), "x" * (1 << 20), "x" * ((1 << 20) + 1)]),
).map(copy.deepcopy)  # a later change may reach into it


def places(value, path=()):
    """Every place in the document."""
    yield path
    if isinstance(value, dict | list) and len(path) < 6:
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


VALUES = st.integers(-2, 110) | st.sampled_from(
    [0.5, True, None, 10**30, "digits", "roman", "in.txt", "../x", "in.txt/x"]
)
KINDS = st.sampled_from([*CATALOG, "nubmer"])
PORTS = st.sampled_from(["number", "even", "low", "text", "numbers", "first", "top", "value"])


def change_little(draw, document):
    """Another setting, kind of node or end of a wire, such as a slip of the hand gives."""
    place = draw(st.sampled_from([place for place in places(document) if len(place) >= 3]))
    if place[0] == "wires":
        replace(document, place, f"{draw(st.sampled_from(list(document['nodes'])))}.{draw(PORTS)}")
    elif place[2] == "type":
        replace(document, place, draw(KINDS))
    elif place[0] == "nodes" and place[2] == "settings":
        replace(document, (*place[:3], place[3] if len(place) > 3 else "value"), draw(VALUES))


def change_much(draw, document):
    """Something else where it does not belong, or nothing where there was something."""
    *path, last = draw(st.sampled_from([place for place in places(document) if place]))
    holder = document
    for key in path:
        holder = holder[key]
    match draw(st.sampled_from(["replace", "delete", "insert", "twin", "swap"])):
        case "delete":
            del holder[last]
        case "insert" if isinstance(holder, list):
            holder.insert(last, draw(JUNK))
        case "insert":
            holder[draw(st.text(max_size=3) | st.sampled_from(["type", "settings", "value", "nodes"]))] = draw(JUNK)
        case "twin" if isinstance(holder, dict):
            holder[Twin(last)] = draw(JUNK)
        case "swap" if isinstance(holder[last], dict):
            holder[last] = [list(pair) for pair in holder[last].items()]
        case "swap" if isinstance(holder[last], list):
            holder[last] = dict(enumerate(holder[last]))
        case _:
            holder[last] = draw(JUNK)


def replace(document, place, value):
    for key in place[:-1]:
        document = document[key]
    document[place[-1]] = value


@st.composite
def files(draw):
    """The bytes of a valid file with some things about it changed."""
    document = copy.deepcopy(draw(st.sampled_from(FILES)))
    for _ in range(draw(st.integers(0, 3))):
        change_little(draw, document)
    if draw(st.integers(0, 2)) == 0:
        change_much(draw, document)
    data = json.dumps(document, indent=draw(st.none() | st.integers(0, 3))).encode()
    if draw(st.integers(0, 4)) == 0:
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 4)) | st.just(len(data)))
        data = data[:start] + draw(st.binary(max_size=4)) + data[end:]
    return data


def say(problems):
    """Each is a sentence that can be printed."""
    assert problems
    for problem in problems:
        sentence = str(problem)
        sentence.encode()
        assert sentence.endswith((".", "?"))
        assert len(sentence) < 2000


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("random")
    (folder / "in").mkdir()
    (folder / "in" / "in.txt").write_text("read")
    return folder


@settings(max_examples=200, deadline=20_000, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(files())
def test_whatever_is_in_a_file_there_are_sentences_and_the_file_stays(folders, data):
    path = folders / "workflow.json"
    path.write_bytes(data)
    allowed = Files({"input": [folders / "in"]}, folders / "out")
    try:
        read = Workflow.read(path, UPGRADES)
        if not read.changes:
            read.save(folders / "saved.json")
            assert (folders / "saved.json").read_bytes() == data
        assert Workflow.parse(read.dumps(), UPGRADES).document == read.document
        problems = check(read, CATALOG, allowed)
        if problems:
            say(problems)
        result = run(read, CATALOG, files=allowed)
        assert [problem for problem in problems if problem.needed] == []
        assert {outcome.status for outcome in result.outcomes.values()} <= {"done", "failed", "skipped"}
        say([outcome.error for outcome in result.outcomes.values() if outcome.status != "done"] or ["."])
    except (WorkflowError, CheckFailed) as refused:
        say(refused.problems)
    assert path.read_bytes() == data
    assert {found.name for found in folders.iterdir()} <= {"in", "out", "workflow.json", "saved.json"}
