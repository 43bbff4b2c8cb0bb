"""What differs between two workflows in meaning: nodes, settings, modes and wires.

Layout, titles, notes and names of nodes are no difference. Which node of the one is which of the other is found first.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired

from typing_extensions import TypedDict  # pydantic takes the one of typing from Python 3.12 on

from .catalog import NodeUnavailable
from .matching import Side, match
from .node import Declaration
from .workflow import NodeEntry, Workflow

Pair = tuple[str, str]
"""`(node.output, node.input)`, as wires are written in files."""

_NOWHERE = ""
"""Stands for a node that is not in the other workflow; none is called so."""


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
    settings = tuple({id_: _settings(entry, catalog) for id_, entry in side.nodes.items()} for side in (before, after))
    pairs = match(_side(before, settings[0]), _side(after, settings[1]))
    kept = set(pairs.values())
    return Difference(
        added=tuple(Named(node=id_, type=entry.type) for id_, entry in after.nodes.items() if id_ not in kept),
        removed=tuple(Named(node=id_, type=entry.type) for id_, entry in before.nodes.items() if id_ not in pairs),
        renamed=tuple(Renamed(before=old, after=new) for old, new in pairs.items() if old != new),
        changed=tuple(
            change
            for old, new in pairs.items()
            if before.nodes[old].type == after.nodes[new].type
            for change in _changed(new, settings[0][old], settings[1][new])
        ),
        retyped=tuple(
            Retyped(node=new, before=before.nodes[old].type, after=after.nodes[new].type)
            for old, new in pairs.items()
            if before.nodes[old].type != after.nodes[new].type
        ),
        modes=tuple(
            Moded(node=new, before=was, after=is_)
            for old, new in pairs.items()
            if (was := _mode(before, old)) != (is_ := _mode(after, new))
        ),
        **_wires(before, after, pairs),
    )


def canonical(value: Any) -> str:
    """JSON text that is the same for values that are: keys in order, and 2 for 2.0."""
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


def _settings(entry: NodeEntry, catalog: Mapping[str, Declaration] | None) -> dict[str, Any]:
    """The settings of a node, with defaults where the catalog knows them."""
    try:
        declared = catalog[entry.type].settings if catalog is not None else {}
    except (KeyError, NodeUnavailable):
        declared = {}
    defaults = {name: setting.plain(setting.default) for name, setting in declared.items() if not setting.required}
    return {**defaults, **entry.settings}


def _side(workflow: Workflow, settings: Mapping[str, Mapping[str, Any]]) -> Side:
    return Side(
        {id_: entry.type for id_, entry in workflow.nodes.items()},
        {id_: canonical(values) for id_, values in settings.items()},
        [(wire.source, wire.output, wire.target, wire.input) for wire in workflow.wires],
    )


def _changed(node: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Changed]:
    for name in dict.fromkeys([*before, *after]):
        change = Changed(node=node, setting=name)
        if name in before:
            change["before"] = before[name]
        if name in after:
            change["after"] = after[name]
        if len(change) < 4 or canonical(before[name]) != canonical(after[name]):
            yield change


def _mode(workflow: Workflow, node: str) -> str | None:
    mode = workflow.document["nodes"][node].get("mode")
    return mode if isinstance(mode, str) else None


def _wires(before: Workflow, after: Workflow, pairs: Mapping[str, str]) -> dict[str, tuple[Pair, ...]]:
    """Wires taken away and put in. The order of those into one input counts, as pictures on a sheet stand in it: one
    that moved there is both."""
    old, new = _by_input(before), _by_input(after)
    added: list[Pair] = []
    removed: list[Pair] = []
    met: set[tuple[str, str]] = set()
    for (target, port), sources in old.items():
        end = (pairs.get(target, _NOWHERE), port)
        met.add(end)
        others = new.get(end, [])
        kept = _in_order([(pairs.get(source, _NOWHERE), output) for source, output in sources], others)
        removed += [_pair(source, (target, port)) for i, source in enumerate(sources) if i not in kept]
        still = set(kept.values())
        added += [_pair(source, end) for i, source in enumerate(others) if i not in still]
    added += [_pair(source, end) for end, sources in new.items() if end not in met for source in sources]
    return {"wires_added": tuple(added), "wires_removed": tuple(removed)}


def _by_input(workflow: Workflow) -> dict[tuple[str, str], list[tuple[str, str]]]:
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for wire in workflow.wires:
        found.setdefault((wire.target, wire.input), []).append((wire.source, wire.output))
    return found


def _in_order(before: Sequence[Hashable], after: Sequence[Hashable]) -> dict[int, int]:
    """Place in `before` -> place in `after` of the most entries that both have in the same order."""
    places: dict[Hashable, list[int]] = {}
    for place in reversed(range(len(after))):
        places.setdefault(after[place], []).append(place)
    both = [(i, places[entry].pop()) for i, entry in enumerate(before) if places.get(entry)]
    # The longest rising row of places in `after`: `ends[n]` is the lowest one a row of n + 1 can end with.
    ends: list[int] = []
    last: list[int] = []
    previous: list[int] = []
    for number, (_, place) in enumerate(both):
        row = bisect_left(ends, place)
        ends[row : row + 1] = [place]
        last[row : row + 1] = [number]
        previous.append(last[row - 1] if row else -1)
    kept: dict[int, int] = {}
    at = last[-1] if last else -1
    while at >= 0:
        kept[both[at][0]] = both[at][1]
        at = previous[at]
    return kept


def _pair(source: tuple[str, str], target: tuple[str, str]) -> Pair:
    return ".".join(source), ".".join(target)
