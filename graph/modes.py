"""Nodes that take no part: muted ones, and those that are bypassed, whose inputs stand in for their outputs.

A node's entry in the file says so with `"mode": "mute"` or `"mode": "bypass"`. What a muted node would give is as if
unwired; a node with a required input that is left without is muted too. Of a bypassed node each output is replaced by
its first wired input of a type that fits, as ComfyUI does; where there is none, it is as if the node were muted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .document import kind
from .node import Declaration
from .problems import Hints, Problem, quoted
from .workflow import Wire, Workflow

MUTE, BYPASS = "mute", "bypass"
MODES = (MUTE, BYPASS)


@dataclass(frozen=True)
class Settled:
    """`workflow` has the nodes that take part, and the wires between them. `muted` and `bypassed` do not run."""

    workflow: Workflow
    muted: tuple[str, ...]
    bypassed: tuple[str, ...]
    problems: tuple[Problem, ...]


def settle(workflow: Workflow, declared: Mapping[str, Declaration], hints: Hints) -> Settled:
    """What is left of the workflow to run. `declared` lacks the nodes whose kind is not known."""
    modes = {id_: entry.extra["mode"] for id_, entry in workflow.nodes.items() if "mode" in entry.extra}
    problems = tuple(_unknown(id_, mode, hints) for id_, mode in modes.items() if mode not in MODES)
    bypassed = {id_ for id_, mode in modes.items() if mode == BYPASS}
    muted = {id_ for id_, mode in modes.items() if mode == MUTE}
    if not muted and not bypassed:
        return Settled(workflow, (), (), problems)
    origins = _Origins(workflow, declared, bypassed)
    wires = [(wire, origins(wire)) for wire in workflow.wires if wire.target not in bypassed]
    muted |= _starved(wires, declared, muted)
    kept = [
        replace(wire, source=origin[0], output=origin[1])
        for wire, origin in wires
        if origin and origin[0] not in muted and wire.target not in muted
    ]
    live = {id_: entry for id_, entry in workflow.nodes.items() if id_ not in muted | bypassed}
    return Settled(
        replace(workflow, nodes=live, wires=tuple(kept)),
        tuple(id_ for id_ in workflow.nodes if id_ in muted),
        tuple(id_ for id_ in workflow.nodes if id_ in bypassed),
        problems,
    )


_Origin = tuple[str, str] | None
"""The node and output a wire carries from; None where nothing is left to carry."""


class _Origins:
    """Where a wire begins once bypassed nodes are passed through."""

    def __init__(self, workflow: Workflow, declared: Mapping[str, Declaration], bypassed: set[str]) -> None:
        self._declared, self._bypassed = declared, bypassed
        self._first: dict[tuple[str, str], Wire] = {}
        for wire in workflow.wires:
            self._first.setdefault((wire.target, wire.input), wire)
        self._known: dict[tuple[str, str], _Origin] = {}

    def __call__(self, wire: Wire) -> _Origin:
        passed: dict[tuple[str, str], None] = {}
        here: _Origin = (wire.source, wire.output)
        while here and here[0] in self._bypassed and here not in self._known:
            if here in passed:  # bypassed nodes that go in a circle
                here = None
                break
            passed[here] = None
            here = self._stand_in(*here)
        origin = self._known.get(here, here) if here else None
        self._known.update(dict.fromkeys(passed, origin))
        return origin

    def _stand_in(self, id_: str, output: str) -> _Origin:
        node = self._declared.get(id_)
        if node is None or output not in node.outputs:
            return None
        gives = node.outputs[output].gives
        for port in node.inputs.values():
            wire = self._first.get((id_, port.name))
            if wire is not None and all(issubclass(accepted, gives) for accepted in port.accepts):
                return wire.source, wire.output
        return None


def _starved(wires: list[tuple[Wire, _Origin]], declared: Mapping[str, Declaration], muted: set[str]) -> set[str]:
    """The nodes with a required input that had wires of which none carries anything any more, and those they starve."""
    left = Counter((wire.target, wire.input) for wire, origin in wires if origin)
    fed_by: dict[str, list[Wire]] = defaultdict(list)
    for wire, origin in wires:
        if origin:
            fed_by[origin[0]].append(wire)
    found: set[str] = set()
    dry = [wire for wire, origin in wires if not origin and not left[wire.target, wire.input]]
    ending = list(muted)
    while dry or ending:
        if not dry:
            for wire in fed_by[ending.pop()]:
                left[wire.target, wire.input] -= 1
                if not left[wire.target, wire.input]:
                    dry.append(wire)
            continue
        wire = dry.pop()
        node = declared.get(wire.target)
        port = node.inputs.get(wire.input) if node else None
        if port and not port.optional and wire.target not in muted | found:
            found.add(wire.target)
            ending.append(wire.target)
    return found


def _unknown(id_: str, mode: Any, hints: Hints) -> Problem:
    shown = quoted(mode) if isinstance(mode, str) else kind(mode)
    hint = hints.did_you_mean(mode, MODES) if isinstance(mode, str) else ""
    return Problem(f"Node {quoted(id_)}: the mode {shown} is unknown; there are mute and bypass.{hint}", id_)
