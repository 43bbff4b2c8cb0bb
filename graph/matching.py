"""Which node of one workflow is which of another, also under another name.

Nodes of the same name and type are taken for the same. The rest is told apart by type, settings and place in the graph:
nodes are coloured by these, neighbours' colours flow in along the wires (Weisfeiler and Leman, 1968), and where only
one node on each side has a colour, they are one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDE = 32
"""Rounds of colouring that see as good as the whole graph."""

_BUDGET = 500_000
"""Nodes coloured at most, over all rounds: about a second. Past it, nodes alike in all respects are paired in their
order."""


@dataclass(frozen=True)
class Side:
    """One of the workflows: node -> type, node -> settings as comparable text, and wires as
    (source, output, target, input)."""

    types: Mapping[str, str]
    settings: Mapping[str, str]
    wires: Sequence[tuple[str, str, str, str]]


def match(before: Side, after: Side) -> dict[str, str]:
    """Node of `before` -> the same node of `after`."""
    return _Matching(before, after).pairs


class _Matching:
    def __init__(self, before: Side, after: Side) -> None:
        self._sides = (before, after)
        self._budget = _BUDGET
        self._neighbours = tuple(_neighbours(side) for side in self._sides)
        self.pairs = {node: node for node, kind in before.types.items() if after.types.get(node) == kind}
        for settings, rounds in ((True, WIDE), (True, 1), (False, 1), (True, 0)):
            self._pair(settings, rounds)
        left, right = self._free()
        became = set(left) & set(right)  # of another type
        self.pairs |= {node: node for node in left if node in became}

    def _pair(self, settings: bool, rounds: int) -> None:
        """Pair what looks alike, looking `rounds` wires far."""
        while True:
            left, right = self._free()
            if not left or not right:
                return
            colours = self._colours(settings, rounds)
            found = _by_colour(left, colours[0]), _by_colour(right, colours[1])
            if not settings:  # a type alone is no likeness: there must be a wire in common
                found = tuple(
                    {colour: nodes for colour, nodes in each.items() if neighbours[nodes[0]]}
                    for each, neighbours in zip(found, self._neighbours, strict=True)
                )
            common = [(found[0][colour], found[1][colour]) for colour in found[0] if colour in found[1]]
            single = [(a[0], b[0]) for a, b in common if len(a) == len(b) == 1]
            if single:
                self.pairs.update(single)
            elif common and self._budget > 0:
                # Alike in all respects: take two for one, and see what that tells of their neighbours.
                a, b = min(common, key=lambda pair: len(pair[0]) * len(pair[1]))
                self.pairs[a[0]] = b[0]
            else:
                self.pairs.update(pair for a, b in common for pair in zip(a, b, strict=False))
                return

    def _free(self) -> tuple[list[str], list[str]]:
        taken = set(self.pairs.values())
        before, after = self._sides
        return [node for node in before.types if node not in self.pairs], [n for n in after.types if n not in taken]

    def _colours(self, settings: bool, rounds: int) -> tuple[dict[str, int], dict[str, int]]:
        """Numbers that are equal for nodes that look alike; paired nodes look like each other alone."""
        numbers: dict[object, int] = {}
        anchors = [{}, {}]
        for count, (node, other) in enumerate(self.pairs.items()):
            anchors[0][node] = anchors[1][other] = count
        colours: list[dict[str, int]] = []
        for side, anchored in zip(self._sides, anchors, strict=True):
            begun = {}
            for node, kind in side.types.items():
                look = anchored.get(node, (kind, side.settings[node] if settings else ""))
                begun[node] = numbers.setdefault(look, len(numbers))
            colours.append(begun)
        kinds = 0
        for _ in range(rounds):
            if len(numbers) == kinds or self._budget <= 0:
                break
            kinds, numbers = len(numbers), {}
            for index, anchored in enumerate(anchors):
                old, neighbours = colours[index], self._neighbours[index]
                self._budget -= len(old)
                new = {}
                for node, own in old.items():
                    ends = () if node in anchored else neighbours[node]
                    # Looking one wire far finds a node again whose input got one wire more; the places have shifted.
                    seen = tuple(sorted((port, place if rounds > 1 else 0, old[n]) for port, place, n in ends))
                    new[node] = numbers.setdefault((own, seen), len(numbers))
                colours[index] = new
        return colours[0], colours[1]


_Neighbours = dict[str, list[tuple[tuple[str, str, str], int, str]]]
"""Node -> what its wires lead to: (direction, output, input), which of the wires into that input it is, node."""


def _neighbours(side: Side) -> _Neighbours:
    found: _Neighbours = {node: [] for node in side.types}
    places: dict[tuple[str, str], int] = defaultdict(int)
    for source, output, target, input_ in side.wires:
        if source in found and target in found:
            place = places[target, input_]
            places[target, input_] += 1
            found[target].append((("from", output, input_), place, source))
            found[source].append((("to", output, input_), place, target))
    return found


def _by_colour(nodes: Sequence[str], colours: Mapping[str, int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for node in nodes:
        found[colours[node]].append(node)
    return found
