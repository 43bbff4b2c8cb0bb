"""Reports become states."""

from __future__ import annotations

from arithmetic import CATALOG, workflow

from latentloom.app.jobs.pace import Pace
from latentloom.app.jobs.record import Record
from latentloom.app.jobs.reports import NodeEnded, Noted, Shown, Started, Stepped
from latentloom.app.jobs.wire import Job, TextOutput
from latentloom.graph.check import bind

FLOW = workflow({"a": "number", "b": "double", "c": "show"}, "a.number -> b.number", "b.even -> c.text")


def record() -> Record:
    job = Job(id="1", name="flow", submitted=100.0)
    made = Record(job, FLOW.document, None, bind(FLOW, CATALOG))
    made.begin("cpu", 101.0)
    return made


def test_states_follow_the_reports():
    made = record()
    assert made.hear(Started("a"), 10.0) == ("a", False)
    made.hear(Stepped("a", 0, 4, "go", "data:1"), 11.0)
    made.hear(Stepped("a", 2, 4, "on"), 13.0)
    state = made.nodes["a"]
    assert (state.status, state.done, state.total, state.label, state.preview) == ("running", 2, 4, "on", "data:1")
    assert (state.seconds, state.left) == (3.0, 2.0)
    made.hear(Noted("a", {"x": 1}), 13.0)
    made.hear(Noted("a", {"y": 2, "files": ["f.png"]}), 13.0)
    made.hear(NodeEnded("a", "done", 3.5), 14.0)
    made.hear(Shown("a", (TextOutput(name="t", text="x"),), "/thumb"), 14.0)
    state = made.nodes["a"]
    assert (state.status, state.done, state.seconds, state.left, state.preview) == ("done", 4, 3.5, None, None)
    assert state.facts == {"x": 1, "y": 2, "files": ["f.png"]} and state.outputs[0].name == "t"
    assert made.files == ["f.png"] and made.job.thumbnail == "/thumb"


def test_progress_counts_nodes_and_steps_and_small_ones_are_not_told():
    made = record()
    made.hear(Started("a"), 0.0)
    assert made.hear(Stepped("a", 1, 1000), 0.1) == ("a", False)
    assert made.hear(Stepped("a", 500, 1000), 0.2) == ("a", True)
    assert abs(made.job.progress - 0.5 / 3) < 1e-9
    made.hear(NodeEnded("a", "done", 1.0), 1.0)
    made.hear(NodeEnded("b", "reused"), 1.0)
    assert abs(made.job.progress - 2 / 3) < 1e-9


def test_reports_of_nodes_that_are_not_there_are_passed_over():
    assert record().hear(Started("gone"), 0.0) == (None, False)


def test_the_end_closes_what_was_left_open():
    made = record()
    made.hear(NodeEnded("a", "done", 1.0), 1.0)
    made.hear(Started("b"), 1.0)
    made.hear(Stepped("b", 1, 2, "", "data:1"), 2.0)
    assert made.end("failed", "The worker was killed.", 105.0, 3.0) == ["b", "c"]
    assert {id_: state.status for id_, state in made.nodes.items()} == {"a": "done", "b": "failed", "c": "skipped"}
    assert made.nodes["b"].error == "The worker was killed." and made.nodes["b"].preview is None
    assert (made.job.status, made.job.error, made.job.ended) == ("failed", "The worker was killed.", 105.0)
    made = record()
    assert made.end("cancelled", "", 105.0, 3.0) == ["a", "b", "c"]
    assert {state.status for state in made.nodes.values()} == {"cancelled"}


def test_pace():
    pace = Pace()
    assert pace.left(0, 10, 0.0) is None
    assert pace.left(1, 10, 2.0) == 18.0
    assert pace.left(1, 10, 3.0) == 18.0  # told again
    assert 16.0 < (pace.left(2, 10, 5.0) or 0) < 24.0
    assert pace.left(0, 5, 6.0) is None  # other steps begin
    assert pace.left(5, 5, 7.0) == 0.0
