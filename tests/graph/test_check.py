"""Everything wrong is told at once, in sentences that say where, what is accepted, and what may have been meant."""

from time import perf_counter

import pytest
from arithmetic import CATALOG, workflow

from latentloom.graph.catalog import Catalog
from latentloom.graph.check import bind, check
from latentloom.graph.files import Files


def sentences(*problems):
    return [str(problem) for problem in problems]


def only(found):
    """The one problem there is."""
    assert len(found) == 1, sentences(*found)
    return found[0]


def test_a_sound_workflow_has_no_problems():
    sound = workflow({"a": "number", "b": "double", "c": "show"}, "a.number -> b.number", "b.even -> c.text")
    assert check(sound, CATALOG) == []


def test_all_problems_come_at_once():
    wrong = workflow(
        {"a": ("number", {"value": 101}), "b": "duoble", "c": ("join", {"seperator": "-"}), "d": "show"},
        "a.numbr -> d.text",
        "e.text -> c.first",
    )
    found = check(wrong, CATALOG, goals=["b", "c", "d"])
    assert {problem.node for problem in found} == {"a", "b", "c", "d"}
    assert len(found) == 5  # c.first and d.text go without a sound wire, and that is not told twice


@pytest.mark.parametrize(
    ("nodes", "wires", "sentence", "place"),
    [
        (
            {"a": "nubmer"},
            (),
            'Node "a": there is no kind of node called "nubmer". Did you mean "number"?',
            ("a", None, None),
        ),
        (
            {"a": ("number", {"valu": 3})},
            (),
            'Node "a" (number) has no setting "valu". Did you mean "value"?',
            ("a", None, "valu"),
        ),
        (
            {"a": ("number", {"zzz": 3})},
            (),
            'Node "a" (number) has no setting "zzz". It has "value".',
            ("a", None, "zzz"),
        ),
        (
            {"a": "number", "b": ("double", {"number": 3})},
            ("a.number -> b.number",),
            'Node "b" (double) has no setting "number". "number" is an input: it takes a wire that carries Number.',
            ("b", None, "number"),
        ),
        (
            {"a": ("number", {"value": 101})},
            (),
            'Node "a": value = 101: it should be less than or equal to 100 (from 0 to 100).',
            ("a", None, "value"),
        ),
        (
            {"a": ("number", {"value": "7"})},
            (),
            'Node "a": value = "7": it should be a valid integer (from 0 to 100).',
            ("a", None, "value"),
        ),
        (
            {"a": "number", "b": ("spell", {"style": "romn"})},
            ("a.number -> b.number",),
            "Node \"b\": style = \"romn\": it should be 'digits' or 'roman'.",
            ("b", None, "style"),
        ),
        (
            {"a": "read"},
            (),
            'Node "a": the setting "path" has no value, and needs one.',
            ("a", None, "path"),
        ),
        (
            {"a": "number", "b": "halve"},
            ("a.number -> b.even",),
            "The wire a.number -> b.even carries Number, but the input needs Even. From Number to Even leads double.",
            ("b", "even", None),
        ),
        (
            {"a": "number", "b": "join"},
            ("a.number -> b.first",),
            "The wire a.number -> b.first carries Number, but the input needs Text. From Number to Text leads spell.",
            ("b", "first", None),
        ),
        (
            {"a": "number", "b": "double"},
            (),
            'Node "b": the input "number" needs a wire that carries Number, as from a.number.',
            ("b", "number", None),
        ),
        (
            {"b": "join"},
            (),
            'Node "b": the input "first" needs a wire that carries Text.',
            ("b", "first", None),
        ),
        (
            {"a": "number", "b": "add"},
            ("a.numer -> b.numbers",),
            'The wire a.numer -> b.numbers: "a" (number) has no output "numer". Did you mean "number"?',
            ("b", "numbers", None),
        ),
        (
            {"a": "number", "b": "add"},
            ("a.number -> b.numbers", "a.number -> b.nmbers"),
            'The wire a.number -> b.nmbers: "b" (add) has no input "nmbers". Did you mean "numbers"?',
            ("b", "nmbers", None),
        ),
        (
            {"a": "number", "b": "add"},
            ("a.number -> b.numbers", "a.number -> b.plus"),
            (
                'The wire a.number -> b.plus: "b" (add) has no input "plus". '
                "That is a setting: it is written on the node and takes no wire."
            ),
            ("b", "plus", None),
        ),
        (
            {"a": "number", "b": "double", "c": "add"},
            ("a.number -> b.number", "b.number -> c.numbers"),
            (
                'The wire b.number -> c.numbers: "b" (double) has no output "number". '
                "That is an input; a wire begins at an output."
            ),
            ("c", "numbers", None),
        ),
        (
            {"sample": "number", "b": "add"},
            ("sample.number -> b.numbers", "smaple.number -> b.numbers"),
            'The wire smaple.number -> b.numbers names a node "smaple", which is not there. Did you mean "sample"?',
            ("b", "numbers", None),
        ),
        (
            {"a": "number"},
            ("a.number -> gone.numbers",),
            'The wire a.number -> gone.numbers names a node "gone", which is not there.',
            (None, None, None),
        ),
        (
            {"a": "number", "b": "add"},
            ("a.number -> b.numbers", "a.number -> b.numbers"),
            "The wire a.number -> b.numbers stands in the file 2 times; once is enough.",
            ("b", "numbers", None),
        ),
        (
            {"a": "number", "b": "number", "c": "double"},
            ("a.number -> c.number", "b.number -> c.number"),
            "The input c.number takes one wire and has 2: from a.number and b.number.",
            ("c", "number", None),
        ),
        (
            {"a": "add", "b": "add", "c": "add"},
            ("a.number -> b.numbers", "b.number -> c.numbers", "c.number -> a.numbers"),
            "The wires go in a circle: a -> b -> c -> a. Take one of them away.",
            ("a", None, None),
        ),
        (
            {"a": "add"},
            ("a.number -> a.numbers",),
            "The wires go in a circle: a -> a. Take one of them away.",
            ("a", None, None),
        ),
    ],
)
def test_sentence(nodes, wires, sentence, place):
    problem = only(check(workflow(nodes, *wires), CATALOG))
    assert str(problem) == sentence
    assert (problem.node, problem.port, problem.setting) == place
    assert problem.needed


def test_several_wires_go_into_a_tuple_in_file_order():
    bound = bind(
        workflow(
            {"c": "add", "a": "number", "b": "number"},
            "b.number -> c.numbers",
            "a.number -> c.numbers",
            "b.number -> c.numbers",
        ),
        CATALOG,
    )
    assert bound.nodes["c"].sources == {"numbers": (("b", "number"), ("a", "number"))}


def test_a_subclass_may_be_carried_and_a_union_taken():
    nodes = {"a": "number", "b": "double", "c": "add", "d": "show"}
    assert not check(workflow(nodes, "a.number -> b.number", "b.even -> c.numbers", "c.number -> d.text"), CATALOG)


def test_what_the_goals_do_not_need_is_a_warning():
    two = workflow(
        {"a": "number", "b": ("spell", {"style": "greek"}), "c": "missing", "d": "show"},
        "a.number -> b.number",
        "a.number -> d.text",
    )
    assert [(problem.node, problem.needed) for problem in check(two, CATALOG)] == [("c", False), ("b", False)]
    assert [(problem.node, problem.needed) for problem in check(two, CATALOG, goals=["b"])] == [
        ("c", False),
        ("b", True),
    ]


def test_a_wire_to_a_missing_node_is_never_passed_over():
    """It may be a slip in the name of a node that then goes without an optional input."""
    problem = only(check(workflow({"a": "number", "s": "show"}, "a.number -> s.text", "a.number -> t.text"), CATALOG))
    assert problem.needed


def test_an_unknown_goal_is_told():
    problem = only(check(workflow({"first": "number"}), CATALOG, goals=["frist"]))
    assert str(problem) == 'There is no node "frist" to run. Did you mean "first"?'
    assert problem.needed


def test_where_everything_goes_in_circles_the_run_is_refused():
    circle = workflow({"a": "add", "b": "add"}, "a.number -> b.numbers", "b.number -> a.numbers")
    assert only(check(circle, CATALOG)).needed


def test_one_circle_of_each_knot_is_shown():
    nodes = dict.fromkeys("abcdef", "add")
    pairs = ["ab", "ba", "ac", "ca", "de", "ed", "af"]
    found = check(workflow(nodes, *(f"{one}.number -> {two}.numbers" for one, two in pairs)), CATALOG)
    assert len(found) == 2


def test_the_order_has_each_node_after_its_sources_and_the_first_goal_first():
    nodes = {"x": "show", "y": "show", "b": "number", "a": "number"}
    bound = bind(workflow(nodes, "a.number -> x.text", "b.number -> y.text"), CATALOG)
    assert bound.goals == ("x", "y")
    assert bound.order == ("a", "x", "b", "y")


def test_without_effects_the_goals_are_the_nodes_nobody_takes_from():
    nodes = {"a": "number", "b": "double", "c": "number"}
    assert bind(workflow(nodes, "a.number -> b.number"), CATALOG).goals == ("b", "c")


def test_paths_are_looked_up_when_folders_are_given(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "here.txt").write_text("x")
    files = Files({"input": [tmp_path / "in"]}, tmp_path / "out")
    nodes = {
        "a": ("read", {"path": "here.txt"}),
        "b": ("read", {"path": "../in/here.txt"}),
        "c": ("write", {"name": "/etc/passwd"}),
        "d": ("read", {"path": "gone.txt"}),
    }
    wires = ["a.text -> c.text"]
    assert check(workflow(nodes, *wires), CATALOG) == []
    found = check(workflow(nodes, *wires), CATALOG, files, goals=list("abcd"))
    assert [(problem.node, problem.setting) for problem in found] == [("b", "path"), ("c", "name"), ("d", "path")]
    assert 'Node "b": path: "../in/here.txt" is outside' in str(found[0])
    assert 'There is no "gone.txt"; looked in' in str(found[2])
    assert not (tmp_path / "out").exists()


def test_a_node_that_cannot_be_imported_is_told():
    broken = Catalog({"broken": "no_such_module"}, "latentloom.graph")
    sentence = str(only(check(workflow({"a": "broken"}), broken)))
    assert sentence.startswith(
        'Node "a": The node "broken" of latentloom.graph.no_such_module cannot be used: No module'
    )


@pytest.mark.parametrize("wrong", ["nodes", "sources", "ports", "settings", "types", "inputs"])
def test_thousands_of_mistakes_are_told_in_seconds(wrong):
    nodes = {f"node {i}": "double" if wrong in ("types", "inputs") else "add" for i in range(5000)}
    wires = [f"node {i}.number -> node {i + 1}.numbers" for i in range(4999)]
    if wrong == "nodes":
        nodes = {id_: f"kind {i}" for i, id_ in enumerate(nodes)}
    elif wrong == "sources":
        wires += [f"nod {i}.number -> node 1.numbers" for i in range(5_000)]
    elif wrong == "ports":
        wires += [f"node 1.numbr{i} -> node 2.numbers{i}" for i in range(5_000)]
    elif wrong == "settings":
        nodes["node 1"] = ("add", {f"pluss{i}": 1 for i in range(5_000)})  # type: ignore[assignment]
    elif wrong == "types":
        nodes |= {"word": ("read", {"path": "x"})}  # type: ignore[dict-item]
        wires = [f"word.text -> node {i}.number" for i in range(5000)]
    elif wrong == "inputs":
        wires = []
    nodes = dict(list(nodes.items())[-5000:])
    begun = perf_counter()
    assert len(check(workflow(nodes, *wires), CATALOG)) >= 1000
    assert perf_counter() - begun < 10


def test_nothing_to_run_is_told():
    for found in (check(workflow({}), CATALOG), check(workflow({"a": "number"}), CATALOG, goals=[])):
        assert str(only(found)).startswith("There is nothing to run")
