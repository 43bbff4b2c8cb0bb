"""A little world of nodes for the tests of the graph: numbers and texts, quick, with every kind of port and failure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from latentloom.graph.catalog import Catalog
from latentloom.graph.files import Files, Reads, Writes
from latentloom.graph.node import NodeError, effect, node
from latentloom.graph.progress import QUIET, Progress
from latentloom.graph.provenance import Provenance
from latentloom.graph.workflow import Workflow


@dataclass(frozen=True)
class Number:
    value: int


@dataclass(frozen=True)
class Even(Number):
    """A number where an even one is needed."""


@dataclass(frozen=True)
class Text:
    value: str


class Halves(NamedTuple):
    low: Number
    high: Number


@node
def number(value: Annotated[int, Field(ge=0, le=100, description="the number itself")] = 1) -> Number:
    """A number to begin with."""
    return Number(value)


@node
def double(number: Number) -> Even:
    """Twice a number."""
    return Even(2 * number.value)


@node
def halve(even: Even) -> Halves:
    """Two equal halves."""
    return Halves(Number(even.value // 2), Number(even.value // 2))


@node
def add(numbers: tuple[Number, ...], plus: int = 0) -> Number:
    """The sum of all."""
    return Number(sum(number.value for number in numbers) + plus)


@node
def divide(top: Number, bottom: Number) -> Number:
    """The whole part of a quotient."""
    if bottom.value == 0:
        raise NodeError("Nothing can be divided by 0.")
    return Number(top.value // bottom.value)


@node
def spell(number: Number, style: Literal["digits", "roman"] = "digits") -> Text:
    """A number as text. The other style has a bug."""
    return Text({"digits": str(number.value)}[style])


@node
def join(first: Text, second: Text | None = None, separator: str = " ") -> Text:
    """Two texts, or one."""
    return Text(first.value if second is None else separator.join((first.value, second.value)))


@node
def count(number: Number, steps: Annotated[int, Field(ge=0, le=1000)] = 3, progress: Progress = QUIET) -> Number:
    """Counts slowly, step by step."""
    for step in range(steps):
        progress.step(step, steps, f"step {step}", lambda: f"preview of {number.value}")
    progress.note(steps=steps)
    return number


@node
def read(path: Annotated[str, Reads()], files: Files) -> Text:
    """The text of a file."""
    return Text(files.find(path).read_text())


@effect
def show(text: Text | Number) -> None:
    """Shows what it is given, to nobody."""


@effect
def write(text: Text, name: Annotated[str, Writes()], files: Files, provenance: Provenance) -> None:
    """A text file that tells where it is from."""
    lines = [text.value, provenance.name, provenance.node, *map(str, provenance.settings.items())]
    files.target(name).write_text("\n".join(lines))


CATALOG = Catalog.of(number, double, halve, add, divide, spell, join, count, read, show, write)


def workflow(nodes: dict[str, Any], *wires: str, **extra: Any) -> Workflow:
    """`{"a": "number", "b": ("add", {"plus": 1})}` and wires as `"a.number -> b.numbers"`."""
    entries = {
        id_: {"type": entry} if isinstance(entry, str) else {"type": entry[0], "settings": entry[1]}
        for id_, entry in nodes.items()
    }
    return Workflow.of({"format": 1, "nodes": entries, "wires": [wire.split(" -> ") for wire in wires], **extra})
