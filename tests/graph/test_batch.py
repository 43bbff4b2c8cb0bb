"""Rows run as a batch give what each gives alone; what they share is made once, what goes together is made as one."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import pytest
from arithmetic import CATALOG, Number, workflow

from latentloom.graph.batch import Fixed, Row, batch
from latentloom.graph.call import Made
from latentloom.graph.catalog import Catalog
from latentloom.graph.check import bind, rebind
from latentloom.graph.node import NodeError, Together, node
from latentloom.graph.progress import Cancelled
from latentloom.graph.run import CheckFailed, run
from latentloom.graph.workflow import Workflow

CALLED: list[tuple[int, ...]] = []
"""The numbers of each call of `square` made together, or alone."""


def _squares(calls: Sequence[Any]) -> list[Number]:
    values = tuple(call["number"].value for call in calls)
    CALLED.append(values)
    if len(values) > FEW["most"]:
        raise MemoryError
    if 13 in values:
        raise RuntimeError("13")
    return [Number(value**2) for value in values]


FEW = {"most": 100}


@node(together=Together(lambda given: given["kind"] or None, _squares))
def square(number: Number, kind: int = 1) -> Number:
    """The square; not of 13, and not of a negative number."""
    CALLED.append((number.value,))
    if number.value == 13:
        raise NodeError("Not of 13.")
    return Number(number.value**2)


WORLD = Catalog.of(*(CATALOG[name].function for name in ("number", "add", "divide", "count", "show")), square)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    CALLED.clear()
    FEW["most"] = 100
    yield


def squared(**nodes: Any) -> Workflow:
    return workflow(
        {"a": "number", "one": "number", "s": "square", "end": "add"} | nodes,
        "a.number -> s.number",
        "s.number -> end.numbers",
        "one.number -> end.numbers",
    )


def values(rows: Sequence[Any], **options: Any) -> dict[int, Any]:
    done = batch(squared(), WORLD, rows, goals=["end"], **options)
    return {row.number: result.values.get("end", {}).get("number") for row, result in done}


@pytest.mark.parametrize("most", [1, 2, 3, 8])
def test_each_row_gives_what_it_gives_alone(most):
    rows = [{"a.value": value, "s.kind": 1 + value % 2} for value in (3, 1, 4, 1, 5, 9, 2, 6, 13, 35)]
    together = values(rows, sizes=Fixed(most))
    alone = {
        number: run(squared().with_settings(row), WORLD, goals=["end"]).values.get("end", {}).get("number")
        for number, row in enumerate(rows)
    }
    assert together == alone
    assert together[8] is None


def test_calls_go_together_by_kind_and_equal_ones_are_made_once():
    rows = [{"a.value": value, "s.kind": kind} for value in (1, 2, 2, 3) for kind in (1, 2, 0)]
    values(rows, sizes=Fixed(8))
    together = sorted(called for called in CALLED if len(called) > 1)
    assert together == [(1, 2, 3), (1, 2, 3)]
    assert sorted(called for called in CALLED if len(called) == 1) == [(1,), (2,), (3,)]  # of kind 0, each alone


def test_no_more_go_together_than_there_is_room_for():
    values([{"a.value": value} for value in range(10)], sizes=Fixed(4))
    assert [len(called) for called in CALLED] == [4, 4, 2]


def test_memory_that_runs_out_halves_and_fails_no_row():
    FEW["most"] = 2
    found = values([{"a.value": value} for value in range(8)], sizes=Fixed(8))
    assert found == {value: Number(value**2 + 1) for value in range(8)}
    assert max(len(called) for called in CALLED[1:]) == 4


def test_a_row_that_fails_fails_alone():
    done = batch(squared(), WORLD, [{"a.value": value} for value in range(10, 18)], goals=["end"], sizes=Fixed(8))
    outcomes = {row.settings["a.value"]: result.outcomes["s"] for row, result in done}
    assert {value for value, outcome in outcomes.items() if outcome.status == "failed"} == {13}
    assert outcomes[13].error == "Not of 13."
    assert not outcomes[13].fault


def test_sizes_hear_what_was_made_and_what_failed():
    heard: list[tuple[str, Hashable, int]] = []

    class Listening(Fixed):
        def made(self, kind: Hashable, made: Sequence[Made]) -> None:
            heard.append(("made", kind, len(made)))

        def failed(self, kind: Hashable, count: int, error: Exception) -> bool:
            heard.append(("failed", type(error).__name__, count))
            return True

    FEW["most"] = 1
    values([{"a.value": 1}, {"a.value": 2}], sizes=Listening(2))
    kind = ("square", 1)
    assert heard == [("failed", "MemoryError", 2), ("made", kind, 1), ("made", kind, 1)]


def test_a_call_alone_is_tried_once_more_where_room_was_made():
    class Helpful(Fixed):
        def failed(self, kind: Hashable, count: int, error: Exception) -> bool:
            return True

    values([{"a.value": 13}], sizes=Helpful())
    assert CALLED == [(13,), (13,)]


def test_rows_end_before_later_ones_begin():
    begun = []

    def rows() -> Iterator[dict[str, int]]:
        for value in range(40):
            begun.append(value)
            yield {"a.value": value}

    done = batch(squared(), WORLD, rows(), goals=["end"], sizes=Fixed(2))
    next(done)
    assert len(begun) < 20
    assert len(list(done)) == 39


def test_no_row_for_now_lets_those_begun_go_on():
    done = batch(squared(), WORLD, [{"a.value": 1}, {"a.value": 2}, None, None, {"a.value": 3}], sizes=Fixed(8))
    assert sorted(result.values["end"]["number"].value for _, result in done) == [2, 5, 10]
    assert CALLED == [(1, 2), (3,)]


def test_a_row_that_cannot_run_is_told_and_stops_no_other():
    rows = [{"a.value": 1}, {"a.value": 1000}, {"nowhere.value": 1}, {"a.value": 2}]
    found = {row.number: result for row, result in batch(squared(), WORLD, rows)}
    assert {number for number, result in found.items() if result.ok} == {0, 3}
    assert "from 0 to 100" in found[1].outcomes["a"].error
    assert 'no node "nowhere"' in next(iter(found[2].outcomes.values())).error


def test_a_goal_that_is_not_there_is_refused():
    with pytest.raises(CheckFailed, match="no node"):
        list(batch(squared(), WORLD, [{"a.value": 1}], goals=["nowhere"]))


def test_cancelled_rows_say_so():
    cancel = threading.Event()
    done = batch(squared(), WORLD, ({"a.value": value} for value in range(100)), sizes=Fixed(4), cancel=cancel)
    next(done)
    cancel.set()
    assert all(result.cancelled for row, result in done if row.number > 50)


def test_a_cancelled_call_is_no_failure():
    @node(together=Together(lambda given: 1, lambda calls: _stop()))
    def stopping(number: Number) -> Number:
        """Is cancelled."""
        raise Cancelled

    def _stop() -> Any:
        raise Cancelled

    flow = workflow({"a": "number", "s": "stopping"}, "a.number -> s.number")
    catalog = Catalog.of(CATALOG["number"].function, stopping)
    results = [result for _, result in batch(flow, catalog, [{"a.value": 1}, {"a.value": 2}])]
    assert [result.cancelled for result in results] == [True, True]


def test_rows_may_bring_their_number():
    rows = [Row(7, {"a.value": 2}), Row(5, {"a.value": 3})]
    assert values(rows) == {7: Number(5), 5: Number(10)}


def test_what_rows_share_is_made_once():
    flow = workflow(
        {"c": "count", "a": "number", "b": "number", "end": "add"},
        "a.number -> c.number",
        "c.number -> end.numbers",
        "b.number -> end.numbers",
    )
    results = [result for _, result in batch(flow, WORLD, [{"b.value": value} for value in range(5)], goals=["end"])]
    assert [result.outcomes["c"].status for result in results] == ["done", *["reused"] * 4]


@pytest.mark.parametrize("settings", [{"a.value": 5}, {"a.value": 500}, {"a.valu": 1}, {"a.value": 2, "b.value": "x"}])
def test_bound_anew_is_as_bound_at_first(settings):
    flow = squared(b="number")
    quick = rebind(bind(flow, WORLD), settings)
    first = bind(flow.with_settings(settings), WORLD)
    assert quick.nodes.keys() == first.nodes.keys()
    if not first.problems:
        assert {id_: node.settings for id_, node in quick.nodes.items()} == {
            id_: node.settings for id_, node in first.nodes.items()
        }
    assert set(quick.problems) == set(first.problems)
