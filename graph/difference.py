"""What differs between two workflows in meaning: nodes, settings, modes and wires.

Layout, titles, notes and names of nodes are no difference. Which node of the one is which of the other is found first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from typing_extensions import NotRequired, TypedDict  # pydantic reads those of typing only from Python 3.12 on

from .node import Declaration
from .workflow import Workflow

Pair = tuple[str, str]
"""`(node.output, node.input)`, as wires are written in files."""


class Named(TypedDict):
    """A node that only one of the two has."""

    node: str
    type: str


class Renamed(TypedDict):
    """One node under two names."""

    before: str
    after: str


class Changed(TypedDict):
    """A setting with another value; `before` or `after` is left out where the setting has none. `node` is as `after`
    names it."""

    node: str
    setting: str
    before: NotRequired[Any]
    after: NotRequired[Any]


class Retyped(TypedDict):
    """A node that became one of another kind."""

    node: str
    before: str
    after: str


class Moded(TypedDict):
    """A node muted, bypassed or taken back into use."""

    node: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Difference:
    """From one workflow to another. What was taken away is named as before, all else as after."""

    added: tuple[Named, ...] = ()
    removed: tuple[Named, ...] = ()
    renamed: tuple[Renamed, ...] = ()
    changed: tuple[Changed, ...] = ()
    retyped: tuple[Retyped, ...] = ()
    modes: tuple[Moded, ...] = ()
    wires_added: tuple[Pair, ...] = ()
    wires_removed: tuple[Pair, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether both mean the same, under whatever names."""
        return not (
            self.added
            or self.removed
            or self.changed
            or self.retyped
            or self.modes
            or self.wires_added
            or self.wires_removed
        )


def difference(before: Workflow, after: Workflow, catalog: Mapping[str, Declaration] | None = None) -> Difference:
    """What changed from `before` to `after`. With a `catalog`, a default written out is no change."""
    raise NotImplementedError
