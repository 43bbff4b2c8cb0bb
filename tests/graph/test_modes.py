"""Muted and bypassed nodes: what is left to run, and what becomes of what they would give."""

import time

import pytest
from arithmetic import CATALOG, Text, workflow

from latentloom.graph.check import bind, check
from latentloom.graph.run import CheckFailed, run
from latentloom.graph.store import MemoryStore
from latentloom.graph.workflow import Workflow


def moded(base: Workflow, **modes: object) -> Workflow:
    """`base` with the modes of nodes set."""
    nodes = {id_: dict(entry) for id_, entry in base.document["nodes"].items()}
    for id_, mode in modes.items():
        nodes[id_]["mode"] = mode
    return Workflow.of({**base.document, "nodes": nodes})


CHAIN = workflow(
    {"one": ("number", {"value": 8}), "twice": "double", "again": "double", "text": "spell", "see": "show"},
    "one.number -> twice.number",
    "twice.even -> again.number",
    "again.even -> text.number",
    "text.text -> see.text",
)


def told(given: Workflow, **options):
    events = []
    result = run(given, CATALOG, tell=events.append, **options)
    return result, events


def test_a_muted_node_mutes_what_cannot_do_without_it():
    result, events = told(moded(CHAIN, again="mute"))
    assert {id_: outcome.status for id_, outcome in result.outcomes.items()} == {
        "again": "muted",
        "text": "muted",
        "see": "muted",
        "one": "done",
        "twice": "done",
    }
    assert result.ok and [event.node for event in events if type(event).__name__ == "Muted"] == ["again", "text", "see"]
    assert result.values == {"twice": {"even": result.values["twice"]["even"]}}  # the effect is muted: the end is run


def test_an_optional_input_is_as_if_unwired_and_many_inputs_lack_it():
    given = workflow(
        {
            "a": ("number", {"value": 1}),
            "b": ("number", {"value": 2}),
            "sum": "add",
            "s": "spell",
            "j": "join",
            "t": "spell",
        },
        "a.number -> sum.numbers",
        "b.number -> sum.numbers",
        "sum.number -> s.number",
        "b.number -> t.number",
        "s.text -> j.first",
        "t.text -> j.second",
    )
    assert run(given, CATALOG).values["j"]["text"] == Text("3 2")
    assert run(moded(given, t="mute"), CATALOG).values["j"]["text"] == Text("3")
    assert run(moded(given, a="mute"), CATALOG).values["j"]["text"] == Text("2 2")
    assert set(bind(moded(given, a="mute", b="mute"), CATALOG).muted) == {"a", "b", "sum", "s", "j", "t"}


@pytest.mark.parametrize(
    ("modes", "value"),
    [
        ({}, "24"),
        ({"again": "bypass"}, "16"),
        ({"twice": "bypass"}, "16"),
        ({"twice": "bypass", "again": "bypass"}, "8"),
    ],
)
def test_wires_pass_through_chains_of_bypassed_nodes(modes, value):
    given = workflow(
        {
            "one": ("number", {"value": 8}),
            "twice": ("add", {"plus": 8}),
            "again": ("add", {"plus": 8}),
            "text": "spell",
        },
        "one.number -> twice.numbers",
        "twice.number -> again.numbers",
        "again.number -> text.number",
    )
    assert run(moded(given, **modes), CATALOG).values["text"]["text"] == Text(value)


def test_a_bypassed_output_no_input_can_stand_for_is_as_if_muted():
    # `double` takes any Number and gives an Even, which a Number cannot stand for.
    checked = bind(moded(CHAIN, twice="bypass"), CATALOG)
    assert checked.muted == ("again", "text", "see") and not checked.problems


def test_the_first_wired_input_that_fits_stands_in():
    given = workflow(
        {"a": ("number", {"value": 6}), "b": ("number", {"value": 3}), "d": "divide", "t": "spell"},
        "b.number -> d.bottom",
        "a.number -> d.top",
        "d.number -> t.number",
    )
    assert run(given, CATALOG).values["t"]["text"] == Text("2")
    assert run(moded(given, d="bypass"), CATALOG).values["t"]["text"] == Text("6")


def test_a_bypassed_node_behind_a_muted_one_gives_nothing():
    given = moded(CHAIN, one="mute", text="bypass")
    assert set(bind(given, CATALOG).muted) == {"one", "twice", "again", "see"}


def test_bypassed_nodes_in_a_circle_are_no_circle():
    given = workflow(
        {"a": "count", "b": "count", "t": "spell"},
        "a.number -> b.number",
        "b.number -> a.number",
        "b.number -> t.number",
    )
    assert any("circle" in problem.sentence for problem in check(given, CATALOG))
    checked = bind(moded(given, a="bypass", b="bypass"), CATALOG)
    assert checked.muted == ("t",)
    assert [problem.sentence for problem in checked.problems] == [
        "There is nothing to run: every node is muted or bypassed, or no goal was named."
    ]


def test_what_is_wrong_with_a_node_that_takes_no_part_stops_nothing():
    given = moded(CHAIN, text="mute")
    broken = given.with_settings({"text.stile": "x"})
    assert [problem for problem in check(broken, CATALOG) if problem.needed] == []
    unknown = {**given.document, "nodes": {**given.document["nodes"], "odd": {"type": "nothing", "mode": "mute"}}}
    problems = check(Workflow.of(unknown), CATALOG)
    assert [problem.needed for problem in problems] == [False] and "nothing" in problems[0].sentence


@pytest.mark.parametrize(
    ("mode", "words"),
    [("bypas", ['the mode "bypas" is unknown', 'Did you mean "bypass"']), (3, ["a number"]), (None, ["null"])],
)
def test_an_unknown_mode_is_a_problem_where_the_run_needs_the_node(mode, words):
    problems = check(moded(CHAIN, text=mode), CATALOG)
    assert len(problems) == 1 and problems[0].node == "text" and problems[0].needed
    assert all(word in problems[0].sentence for word in words)


@pytest.mark.parametrize(
    ("modes", "goal", "words"),
    [
        ({"text": "mute"}, "text", '"text" is muted'),
        ({"twice": "mute"}, "text", '"text" needs a node that is muted'),
        ({"text": "bypass"}, "text", '"text" is bypassed'),
    ],
)
def test_a_goal_that_takes_no_part_is_refused(modes, goal, words):
    with pytest.raises(CheckFailed, match=words):
        run(moded(CHAIN, **modes), CATALOG, goals=[goal])


def test_a_muted_effect_is_no_goal():
    given = workflow({"a": "number", "s": "show", "other": "show"}, "a.number -> s.text", "a.number -> other.text")
    assert bind(moded(given, s="mute"), CATALOG).goals == ("other",)
    assert bind(moded(given, s="bypass"), CATALOG).goals == ("other",)


def test_keys_do_not_depend_on_modes():
    """So that muting a node does not compute the rest anew."""
    store = MemoryStore(1 << 20)
    run(CHAIN, CATALOG, store=store)
    result = run(moded(CHAIN, see="mute"), CATALOG, store=store)
    assert {outcome.status for outcome in result.outcomes.values()} == {"muted", "reused"}


def test_modes_and_what_is_only_drawn_are_saved_again():
    document = {
        **moded(CHAIN, text="bypass").document,
        "reroutes": [{"at": [1, 2], "wires": []}],
        "app": {"inputs": []},
    }
    again = Workflow.parse(Workflow.of(document).dumps())
    assert again.document == document and not check(again, CATALOG)[1:]


def test_many_nodes_in_a_row_are_settled_quickly():
    count = 4000
    nodes = {f"n{i}": {"type": "count", "mode": "bypass"} for i in range(count)} | {"a": {"type": "number"}}
    wires = [["a.number", "n0.number"], *([f"n{i}.number", f"n{i + 1}.number"] for i in range(count - 1))]
    nodes |= {f"s{i}": {"type": "spell"} for i in range(900)}
    wires += [[f"n{count - 1}.number", f"s{i}.number"] for i in range(900)]
    began = time.perf_counter()
    checked = bind(Workflow.of({"format": 1, "nodes": nodes, "wires": wires}), CATALOG)
    assert not checked.problems and checked.nodes["s899"].sources == {"number": (("a", "number"),)}
    assert time.perf_counter() - began < 5
