"""A run does what its goals need, each node once, reuses what it can, and stops only what depends on a failure."""

from __future__ import annotations

import threading
from collections import Counter
from time import process_time

import pytest
from arithmetic import CATALOG, Even, Number, Text, workflow

from latentloom.graph import events
from latentloom.graph.catalog import Catalog
from latentloom.graph.files import Files
from latentloom.graph.node import effect, node
from latentloom.graph.progress import QUIET, Progress
from latentloom.graph.provenance import Provenance
from latentloom.graph.run import CheckFailed, run
from latentloom.graph.store import MemoryStore
from latentloom.graph.workflow import Workflow


class Heard(list):
    """A listener that keeps what it hears."""

    def __call__(self, event):
        self.append(event)

    def nodes(self, kind):
        return [event.node for event in self if isinstance(event, kind)]


def statuses(result):
    return {id_: outcome.status for id_, outcome in result.outcomes.items()}


def chain(value=3, style="digits"):
    nodes = {"a": ("number", {"value": value}), "b": "double", "c": ("spell", {"style": style}), "d": "show"}
    return workflow(nodes, "a.number -> b.number", "b.even -> c.number", "c.text -> d.text")


def test_values_of_the_goals_come_back():
    result = run(chain(), CATALOG, goals=["c", "b"])
    assert result.ok
    assert result.values == {"c": {"text": Text("6")}, "b": {"even": Even(6)}}
    assert statuses(result) == {"a": "done", "b": "done", "c": "done"}


def test_a_named_tuple_is_several_outputs_and_a_tuple_takes_several_wires():
    result = run(
        workflow(
            {"a": ("number", {"value": 5}), "b": "double", "c": "halve", "d": ("add", {"plus": 1})},
            "a.number -> b.number",
            "b.even -> c.even",
            "c.low -> d.numbers",
            "c.high -> d.numbers",
            "a.number -> d.numbers",
        ),
        CATALOG,
    )
    assert result.values == {"d": {"number": Number(16)}}


@node
def optional(first: Number | None, others: tuple[Number, ...] = (Number(40),), last: Number | None = None) -> Number:
    """Each kind of input that may go without a wire."""
    return Number(1000 * (first is None) + sum(other.value for other in others) + (last is None))


def test_inputs_without_wires_are_what_the_function_says():
    result = run(workflow({"a": "optional"}), Catalog.of(optional))
    assert result.values["a"]["number"] == Number(1041)


def test_events_tell_the_run_in_order():
    heard = Heard()
    run(workflow({"a": "number", "b": "count"}, "a.number -> b.number"), CATALOG, tell=heard)
    names = [type(event).__name__ for event in heard]
    assert names == [
        "RunStarted",
        "Started",
        "Finished",
        "Started",
        *["Progressed"] * 3,
        "Noted",
        "Finished",
        "RunFinished",
    ]
    assert heard[0].nodes == ("a", "b")
    assert [(event.done, event.total, event.label) for event in heard[4:7]] == [(i, 3, f"step {i}") for i in range(3)]
    assert heard[4].preview() == "preview of 1"
    assert heard[7].facts == {"steps": 3}
    assert heard[-1].ok
    assert heard[-1].seconds >= sum(event.seconds for event in heard if isinstance(event, events.Finished)) >= 0


def test_a_workflow_with_problems_does_not_start():
    heard = Heard()
    with pytest.raises(CheckFailed) as refused:
        run(chain(value=-1, style="greek"), CATALOG, tell=heard)
    assert [problem.node for problem in refused.value.problems] == ["a", "c"]
    assert str(refused.value).count("\n") == 1
    assert not heard


def test_what_the_goals_do_not_need_is_not_run_and_its_problems_are_warnings():
    heard = Heard()
    result = run(
        workflow({"a": "number", "b": "number", "c": "nowhere", "d": "show"}, "a.number -> d.text"), CATALOG, tell=heard
    )
    assert result.ok
    assert list(result.outcomes) == ["a", "d"]
    assert [problem.node for problem in result.warnings] == ["c"]
    assert heard[0].warnings == result.warnings


def test_equal_nodes_are_computed_once():
    heard = Heard()
    nodes = {"a": ("number", {"value": 1}), "b": "number", "c": "double", "d": "double", "e": "add"}
    wires = ["a.number -> c.number", "b.number -> d.number", "c.even -> e.numbers", "d.even -> e.numbers"]
    result = run(workflow(nodes, *wires), CATALOG, tell=heard)
    assert result.values["e"]["number"] == Number(4)
    assert len(heard.nodes(events.Started)) == 3
    assert len(heard.nodes(events.Reused)) == 2


# ---------------------------------------------------------------- reuse


def test_a_second_run_reuses_all_but_effects():
    store = MemoryStore(1 << 20)
    assert statuses(run(chain(), CATALOG, store=store)) == {"a": "done", "b": "done", "c": "done", "d": "done"}
    assert statuses(run(chain(), CATALOG, store=store)) == {"a": "reused", "b": "reused", "c": "reused", "d": "done"}


def test_a_change_runs_what_depends_on_it_and_nothing_else():
    store = MemoryStore(1 << 20)
    nodes = {"a": "number", "b": ("number", {"value": 2}), "c": "add", "d": "spell", "e": "show"}
    wires = ["a.number -> c.numbers", "b.number -> c.numbers", "c.number -> d.number", "d.text -> e.text"]
    run(workflow(nodes, *wires), CATALOG, store=store)
    changed = workflow({**nodes, "b": ("number", {"value": 3})}, *wires)
    assert statuses(run(changed, CATALOG, store=store)) == {
        "a": "reused",
        "b": "done",
        "c": "done",
        "d": "done",
        "e": "done",
    }


def test_settings_of_an_effect_touch_nothing_else(tmp_path):
    store, files = MemoryStore(1 << 20), Files(writing=tmp_path)
    first = workflow(
        {"a": "number", "b": "spell", "c": ("write", {"name": "one"})}, "a.number -> b.number", "b.text -> c.text"
    )
    run(first, CATALOG, store=store, files=files)
    again = run(first.with_settings({"c.name": "two"}), CATALOG, store=store, files=files)
    assert statuses(again) == {"a": "reused", "b": "reused", "c": "done"}
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two"}


def test_a_default_written_out_is_no_change():
    store = MemoryStore(1 << 20)
    run(workflow({"a": "number"}), CATALOG, store=store)
    assert statuses(run(workflow({"a": ("number", {"value": 1})}), CATALOG, store=store)) == {"a": "reused"}


def test_names_and_places_are_no_part_of_the_key():
    store = MemoryStore(1 << 20)
    run(workflow({"a": "number", "b": "double"}, "a.number -> b.number"), CATALOG, store=store)
    other = workflow({"y": "double", "x": "number"}, "x.number -> y.number", name="Another")
    assert statuses(run(other, CATALOG, store=store)) == {"x": "reused", "y": "reused"}


def test_the_order_of_wires_is_part_of_the_key():
    store = MemoryStore(1 << 20)
    nodes = {"a": "number", "b": ("number", {"value": 2}), "c": "add"}
    wires = ["a.number -> c.numbers", "b.number -> c.numbers"]
    run(workflow(nodes, *wires), CATALOG, store=store)
    assert statuses(run(workflow(nodes, *wires[::-1]), CATALOG, store=store))["c"] == "done"


def test_which_output_is_part_of_the_key():
    store = MemoryStore(1 << 20)
    nodes = {"a": "number", "b": "double", "c": "halve", "d": "spell"}
    wires = ["a.number -> b.number", "b.even -> c.even"]
    run(workflow(nodes, *wires, "c.low -> d.number"), CATALOG, store=store)
    assert statuses(run(workflow(nodes, *wires, "c.high -> d.number"), CATALOG, store=store))["d"] == "done"


def test_a_salt_keeps_results_apart():
    store = MemoryStore(1 << 20)
    run(chain(), CATALOG, store=store, salt="cuda")
    assert "reused" not in statuses(run(chain(), CATALOG, store=store, salt="cpu")).values()


def test_a_changed_file_is_read_again(tmp_path):
    store, files = MemoryStore(1 << 20), Files({"input": [tmp_path]})
    (tmp_path / "x").write_text("one")
    reading = workflow({"a": ("read", {"path": "x"})})
    run(reading, CATALOG, store=store, files=files)
    assert statuses(run(reading, CATALOG, store=store, files=files)) == {"a": "reused"}
    (tmp_path / "x").write_text("three")
    result = run(reading, CATALOG, store=store, files=files)
    assert result.values["a"]["text"] == Text("three")


def test_notes_of_what_is_reused_are_kept():
    store = MemoryStore(1 << 20)
    counting = workflow({"a": "number", "b": "count"}, "a.number -> b.number")
    run(counting, CATALOG, store=store)
    outcome = run(counting, CATALOG, store=store).outcomes["b"]
    assert (outcome.status, outcome.notes) == ("reused", {"steps": 3})


def test_what_an_effect_gives_is_not_kept():
    calls = Counter()

    @effect
    def ring(number: Number) -> Number:
        calls["ring"] += 1
        return Number(calls["ring"])

    catalog = Catalog.of(ring, *(CATALOG[name].function for name in ("number", "double")))
    nodes, wires = {"a": "number", "b": "ring", "c": "double"}, ("a.number -> b.number", "b.number -> c.number")
    store = MemoryStore(1 << 20)
    values = [run(workflow(nodes, *wires), catalog, goals=["c"], store=store).values["c"]["even"] for _ in range(2)]
    assert values == [Even(2), Even(4)]
    assert len(store) == 1  # a alone


class Forgetful(MemoryStore):
    """Keeps nothing; as any store may."""

    def get(self, key):
        return None


@pytest.mark.parametrize("store", [None, MemoryStore(0), Forgetful(1 << 20)], ids=["none", "no room", "forgetful"])
def test_a_run_needs_no_store_that_remembers(store):
    assert run(chain(), CATALOG, goals=["c"], store=store).values["c"]["text"] == Text("6")


def test_only_what_is_used_is_asked_of_the_store():
    class Asked(MemoryStore):
        times = 0

        def get(self, key):
            self.times += 1
            return super().get(key)

    store = Asked(1 << 20)
    long = workflow(
        {f"n{i}": "count" if i else "number" for i in range(50)},
        *(f"n{i}.number -> n{i + 1}.number" for i in range(49)),
    )
    run(long, CATALOG, store=store)
    store.times = 0
    run(long, CATALOG, store=store)
    assert store.times == 1


def test_a_finished_graph_of_500_nodes_is_reused_within_100_ms():
    wires = [f"n{i - step}.number -> n{i}.numbers" for i in range(1, 500) for step in (1, 2, 7) if i >= step]
    large = workflow({f"n{i}": ("add", {"plus": i}) if i else "number" for i in range(500)}, *wires)
    store = MemoryStore(1 << 24)
    run(large, CATALOG, store=store)
    seconds = []
    for _ in range(5):
        begun = process_time()
        result = run(large, CATALOG, store=store)
        seconds.append(process_time() - begun)
        assert set(statuses(result).values()) == {"reused"}
    assert min(seconds) < 0.1  # about 0.03; processor time and the best of five tell it also on a busy machine


def test_values_are_dropped_once_nothing_needs_them():
    alive: set[int] = set()
    most = 0

    class Large:
        def __init__(self):
            nonlocal most
            alive.add(id(self))
            most = max(most, len(alive))

        def __del__(self):
            alive.discard(id(self))

    def passing(large) -> Large:
        return Large()

    passing.__annotations__ = {"large": Large, "return": Large}

    def beginning() -> Large:
        return Large()

    beginning.__annotations__ = {"return": Large}
    catalog = Catalog.of(node(passing), node(beginning))
    nodes = {"n0": "beginning", **{f"n{i}": "passing" for i in range(1, 20)}}
    result = run(workflow(nodes, *(f"n{i}.large -> n{i + 1}.large" for i in range(19))), catalog)
    assert result.ok
    assert most <= 3  # the one going in, the one coming out, and one the interpreter has not yet let go


# ---------------------------------------------------------------- failure


def test_a_failure_stops_what_depends_on_it_and_nothing_else():
    heard = Heard()
    nodes = {
        "zero": ("number", {"value": 0}),
        "one": "number",
        "bad": "divide",
        "after": "double",
        "late": "spell",
        "good": "divide",
        "end": "show",
        "other": "show",
    }
    wires = [
        "one.number -> bad.top",
        "zero.number -> bad.bottom",
        "bad.number -> after.number",
        "after.even -> late.number",
        "late.text -> end.text",
        "one.number -> good.top",
        "one.number -> good.bottom",
        "good.number -> other.text",
    ]
    result = run(workflow(nodes, *wires), CATALOG, tell=heard)
    assert not result.ok
    assert statuses(result) == {
        "zero": "done",
        "one": "done",
        "bad": "failed",
        "after": "skipped",
        "late": "skipped",
        "end": "skipped",
        "good": "done",
        "other": "done",
    }
    assert result.outcomes["bad"].error == "Nothing can be divided by 0."
    assert result.outcomes["end"].error == 'It needs "bad", which failed.'
    assert {event.because for event in heard if isinstance(event, events.Skipped)} == {"bad"}
    failed = next(event for event in heard if isinstance(event, events.Failed))
    assert (failed.sentence, failed.traceback) == ("Nothing can be divided by 0.", "")
    assert list(result.values) == ["other"]


def test_an_unforeseen_error_keeps_its_traceback():
    heard = Heard()
    nodes = {"a": "number", "b": ("spell", {"style": "roman"})}
    result = run(workflow(nodes, "a.number -> b.number"), CATALOG, tell=heard)
    failed = next(event for event in heard if isinstance(event, events.Failed))
    assert result.outcomes["b"].error == failed.sentence == "KeyError: 'roman'"
    assert "Traceback" in failed.traceback
    assert "arithmetic.py" in failed.traceback


def test_a_file_that_went_away_is_told_without_a_traceback(tmp_path):
    heard = Heard()
    result = run(workflow({"a": ("read", {"path": "x"})}), CATALOG, tell=heard)  # not checked: no folders are given
    assert result.outcomes["a"].error == 'There is no "x"; looked in no folder at all.'
    assert next(event for event in heard if isinstance(event, events.Failed)).traceback == ""


def test_a_failure_is_not_kept():
    store = MemoryStore(1 << 20)
    nodes = {"a": ("number", {"value": 0}), "b": "divide"}
    failing = workflow(nodes, "a.number -> b.top", "a.number -> b.bottom")
    for _ in range(2):
        assert statuses(run(failing, CATALOG, store=store))["b"] == "failed"


@node
def confused(progress: Progress) -> Number:
    """Notes what nobody can read."""
    progress.note(models=7)
    return Number(1)


def test_a_node_whose_notes_make_no_sense_fails_alone():
    result = run(workflow({"a": "confused", "b": "number"}), Catalog.of(confused, CATALOG["number"].function))
    assert statuses(result) == {"a": "failed", "b": "done"}


@node
def liar() -> Number:
    """Returns something else than it says."""
    return "seven"  # type: ignore[return-value]


def test_a_node_that_returns_what_it_does_not_declare_fails():
    result = run(workflow({"a": "liar"}), Catalog.of(liar))
    assert result.outcomes["a"].error == "TypeError: the output number is declared as Number, and the node returned str"


# ---------------------------------------------------------------- cancelling


def cancelling(at, raising=None):
    """A listener that cancels at the first event of kind `at`, and the event it sets."""
    cancel = threading.Event()
    heard = Heard()

    def tell(event):
        heard(event)
        if isinstance(event, at):
            if raising is not None and not cancel.is_set():
                cancel.set()
                raise raising
            cancel.set()

    return tell, heard, cancel


COUNTING = workflow(
    {"a": "number", "b": ("count", {"steps": 1000}), "c": "double", "d": "show"},
    "a.number -> b.number",
    "b.number -> c.number",
    "a.number -> d.text",
)


@pytest.mark.parametrize(
    ("at", "steps", "expected"),
    [
        (events.RunStarted, 0, {"a": "cancelled", "b": "cancelled", "c": "cancelled"}),
        (events.Finished, 0, {"a": "done", "b": "cancelled", "c": "cancelled"}),
        (events.Progressed, 1, {"a": "done", "b": "cancelled", "c": "cancelled"}),
    ],
)
def test_cancelling_stops_at_the_next_node_or_step(at, steps, expected):
    tell, heard, cancel = cancelling(at)
    result = run(COUNTING, CATALOG, goals=["c"], tell=tell, cancel=cancel)
    assert statuses(result) == expected
    assert result.cancelled
    assert not result.ok
    assert len([event for event in heard if isinstance(event, events.Progressed)]) == steps
    assert set(heard.nodes(events.Cancelled)) == {id_ for id_, status in expected.items() if status == "cancelled"}
    assert isinstance(heard[-1], events.RunFinished)


@pytest.mark.parametrize("at", [events.RunStarted, events.Started, events.Progressed, events.Finished])
def test_ctrl_c_cancels_the_run_wherever_it_comes(at):
    tell, heard, cancel = cancelling(at, KeyboardInterrupt())
    result = run(COUNTING, CATALOG, goals=["c"], tell=tell, cancel=cancel)
    assert result.cancelled
    assert statuses(result)["c"] == "cancelled"
    assert isinstance(heard[-1], events.RunFinished)
    assert result.values == {}


@node
def impatient(progress: Progress = QUIET) -> Number:
    """Interrupted from within."""
    raise KeyboardInterrupt


def test_ctrl_c_within_a_node_is_no_failure():
    result = run(workflow({"a": "impatient"}), Catalog.of(impatient))
    assert statuses(result) == {"a": "cancelled"}


# ---------------------------------------------------------------- provenance


def test_an_effect_is_told_what_its_input_was_made_from(tmp_path):
    @node
    def model(progress: Progress) -> Number:
        progress.note(models={"shapes": "sha256:1"})
        return Number(7)

    told = []

    @effect
    def save(number: Number, provenance: Provenance) -> None:
        told.append(provenance)

    catalog = Catalog.of(model, save, CATALOG["double"].function)
    nodes, wires = {"m": "model", "b": "double", "s": "save"}, ("m.number -> b.number", "b.even -> s.number")
    store = MemoryStore(1 << 20)
    for _ in range(2):  # also when all before it is reused
        run(workflow(nodes, *wires, name="Shapes / grid"), catalog, store=store)
    for provenance in told:
        assert (provenance.name, provenance.node) == ("Shapes_grid", "s")
        assert provenance.lock["models"] == {"shapes": "sha256:1"}
        assert "latentloom" in provenance.lock
        again = Workflow.parse(provenance.workflow)
        assert again.lock == provenance.lock
        assert list(again.nodes) == ["m", "b", "s"]


def test_provenance_holds_every_setting_in_force():
    told = []

    @effect
    def save(number: Number, provenance: Provenance, copies: int = 2) -> None:
        told.append(provenance.settings)

    nodes = {"a": ("number", {"value": 9}), "b": "add", "s": "save"}
    run(
        workflow(nodes, "a.number -> b.numbers", "b.number -> s.number"),
        Catalog.of(save, *(CATALOG[n].function for n in ("number", "add"))),
    )
    assert told == [{"a.value": 9, "b.plus": 0, "s.copies": 2}]


def test_values_can_be_had_while_an_end_is_told():
    heard = {}

    def look(event):
        if isinstance(event, events.Finished | events.Reused):
            heard[event.node] = (event.key, event.values())

    store = MemoryStore(1 << 20)
    chain = workflow({"a": "number", "b": "double", "c": "show"}, "a.number -> b.number", "b.even -> c.text")
    run(chain, CATALOG, store=store, tell=look)
    first, heard = heard, {}
    run(chain, CATALOG, store=store, tell=look)
    assert first["a"][1] == {"number": Number(1)} and first["b"][1] == {"even": Even(2)} and first["c"][1] == {}
    assert {id_: heard[id_] for id_ in "ab"} == {id_: first[id_] for id_ in "ab"}  # "a" only from the store
    assert heard["c"][0] != first["c"][0]  # an effect is never the same


def test_values_that_were_dropped_are_none():
    told = []
    chain = workflow({"a": "number", "b": "double", "c": "halve"}, "a.number -> b.number", "b.even -> c.even")
    run(chain, CATALOG, tell=told.append)
    late = {event.node: event.values() for event in told if isinstance(event, events.Finished)}
    assert late["a"] is None and late["b"] is None and late["c"] is not None


def test_errors_of_libraries_are_worded_by_who_runs():
    chain = workflow({"a": "number", "b": ("spell", {"style": "roman"})}, "a.number -> b.number")
    told = []
    result = run(chain, CATALOG, tell=told.append, explain=lambda error: f"No Romans here: {error}")
    assert result.outcomes["b"].error == "No Romans here: 'roman'"
    assert next(event for event in told if isinstance(event, events.Failed)).traceback == ""
    result = run(chain, CATALOG, tell=told.append, explain=lambda error: None)
    assert result.outcomes["b"].error == "KeyError: 'roman'"
