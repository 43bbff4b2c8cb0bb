"""`--set node.setting=value`, as people write it."""

from typing import Annotated, Literal

import pytest
from pydantic import Field

from latentloom.app.assignments import assign
from latentloom.graph.catalog import Catalog
from latentloom.graph.node import node
from latentloom.graph.workflow import Workflow
from latentloom.nodes.types import Image


@node
def paint(
    text: str = "",
    steps: Annotated[int, Field(ge=1)] = 1,
    scale: float = 1.0,
    fast: bool = False,
    kind: Literal["1", "two"] = "two",
    size: int | None = None,
) -> Image: ...


CATALOG = Catalog.of(paint)
WORKFLOW = Workflow.of({"format": 1, "nodes": {"a.b": {"type": "paint"}, "odd": {"type": "gone"}}, "wires": []})


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("a.b.text=a = b", "a = b"),
        ("a.b.text=3", "3"),
        ("a.b.text=true", "true"),
        ('a.b.text={"x": 1}', '{"x": 1}'),
        ("a.b.text=", ""),
        ("a.b.steps=3", 3),
        (" a.b.steps = -3 ", -3),
        ("a.b.steps=many", "many"),
        ("a.b.scale=1e-3", 0.001),
        ("a.b.scale=2", 2),
        ("a.b.scale=NaN", "NaN"),
        ("a.b.fast=true", True),
        ("a.b.fast=yes", "yes"),
        ("a.b.kind=1", "1"),
        ("a.b.size=null", None),
        ("a.b.other=1", 1),
        ("odd.other=1", 1),
    ],
)
def test_values_are_taken_as_the_setting_takes_them(assignment, value):
    workflow, problems = assign(WORKFLOW, [assignment], CATALOG)
    key = assignment.partition("=")[0].strip()
    node_id, _, setting = key.rpartition(".")
    found = workflow.nodes[node_id].settings[setting]
    assert not problems and found == value and type(found) is type(value)


def test_the_last_of_two_counts():
    workflow, _ = assign(WORKFLOW, ["a.b.steps=3", "a.b.steps=4"], CATALOG)
    assert workflow.nodes["a.b"].settings == {"steps": 4}


def test_all_that_is_wrong_is_told_at_once():
    workflow, problems = assign(WORKFLOW, ["a.b.steps", "steps=3", "a.c.steps=3", "a.b.steps=5"], CATALOG)
    assert [problem.sentence.partition(":")[0] for problem in problems] == [
        '--set "a.b.steps"',
        '--set "steps=3"',
        '--set "a.c.steps=3"',
    ]
    assert 'Did you mean "a.b"' in problems[2].sentence
    assert workflow.nodes["a.b"].settings == {"steps": 5}
