"""The models are what types.ts says: the page and the server read the same JSON."""

import re
from pathlib import Path

import pytest

from latentloom.app.jobs import wire

TYPES = (Path(__file__).parents[3] / "app/canvas/src/lib/types.ts").read_text()


def fields(interface: str) -> set[str]:
    """Names of the fields of an interface in types.ts."""
    found = re.search(rf"export interface {interface}(?: extends \w+)? {{(.*?)\n}}", TYPES, re.DOTALL)
    assert found, f"types.ts has no interface {interface}"
    return set(re.findall(r"^\s+(\w+)\??:", re.sub(r"/\*\*.*?\*/", "", found[1], flags=re.DOTALL), re.MULTILINE))


@pytest.mark.parametrize("name", ["NodeState", "Job", "Series"])
def test_interfaces(name):
    assert set(getattr(wire, name).model_fields) == fields(name)


def test_details():
    assert set(wire.JobDetail.model_fields) == fields("Job") | fields("JobDetail")


def test_outputs():
    union = TYPES[TYPES.index("export type Output") : TYPES.index("export interface Series")]
    for model in (wire.Picture, wire.TableOutput, wire.FigureOutput, wire.TextOutput):
        kind = model.model_fields["kind"].default
        (line,) = (line for line in union.splitlines() if f'"{kind}"' in line)
        assert set(model.model_fields) == set(re.findall(r"(\w+):", line))


@pytest.mark.parametrize(("name", "values"), [("NodeStatus", wire.NodeStatus), ("JobStatus", wire.JobStatus)])
def test_statuses(name, values):
    line = re.search(rf"export type {name} = (.*?);", TYPES)
    assert line and set(values.__args__) == set(re.findall(r'"(\w+)"', line[1]))


def test_a_state_comes_back_from_json():
    state = wire.NodeState(outputs=(wire.Picture(name="i", url="/u", width=1, height=2),), facts={"a": [1]})
    assert wire.NodeState.model_validate_json(state.model_dump_json()) == state
