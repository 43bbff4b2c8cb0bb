"""Which wire ends at which input: names and types of both ends checked, each input's wires in file order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache, cached_property

from .catalog import Catalog, NodeUnavailable
from .node import Declaration
from .ports import Input, Output, type_name
from .problems import Hints, Problem, listed, quoted
from .workflow import Wire, Workflow

Sources = tuple[tuple[str, str], ...]
"""The wires into an input: (node, output) each."""


class Wiring:
    """The wires of one workflow against the ports of its nodes.

    `declared` lacks the nodes whose type is not known; nothing is said of ports there. A problem is put where the wire
    ends, as that node is the one that goes without; if that node is not there, on no node.
    """

    def __init__(self, workflow: Workflow, declared: Mapping[str, Declaration], catalog: Catalog, hints: Hints) -> None:
        self._nodes, self._declared, self._catalog, self._hints = workflow.nodes, declared, catalog, hints
        self._converters = cache(self._find_converters)
        self.problems: list[Problem] = []
        wired: dict[str, dict[str, list[Wire]]] = {id_: {} for id_ in workflow.nodes}
        for wire, times in Counter(workflow.wires).items():
            if times > 1:
                sentence = f"The wire {wire} stands in the file {times} times; once is enough."
                self.problems.append(Problem(sentence, *self._end(wire)))
            missing = list(self._missing_nodes(wire))
            self.problems += missing or self._misfits(wire)
            if wire.target in wired:
                wired[wire.target].setdefault(wire.input, []).append(wire)
        for id_, node in declared.items():
            for port in node.inputs.values():
                self.problems += self._miscounted(id_, port, wired[id_].get(port.name, []))
        self.sources: dict[str, dict[str, Sources]] = {
            id_: {port: tuple((wire.source, wire.output) for wire in wires) for port, wires in ports.items()}
            for id_, ports in wired.items()
        }

    def _end(self, wire: Wire) -> tuple[str | None, str | None]:
        return (wire.target, wire.input) if wire.target in self._nodes else (None, None)

    def _missing_nodes(self, wire: Wire) -> Iterator[Problem]:
        for node in dict.fromkeys((wire.source, wire.target)):
            if node not in self._nodes:
                hint = self._hints.did_you_mean(node, self._nodes)
                sentence = f"The wire {wire} names a node {quoted(node)}, which is not there.{hint}"
                yield Problem(sentence, *self._end(wire))

    def _misfits(self, wire: Wire) -> Iterator[Problem]:
        source, target = self._declared.get(wire.source), self._declared.get(wire.target)
        output = source.outputs.get(wire.output) if source else None
        input_ = target.inputs.get(wire.input) if target else None
        if source and not output:
            sentence = f"The wire {wire}: {quoted(wire.source)} ({source.name}) has no output {quoted(wire.output)}."
            yield Problem(sentence + self._other_output(wire, source), *self._end(wire))
        if target and not input_:
            sentence = f"The wire {wire}: {quoted(wire.target)} ({target.name}) has no input {quoted(wire.input)}."
            yield Problem(sentence + self._other_input(wire, target), *self._end(wire))
        if output and input_ and not _fits(output, input_):
            sentence = f"The wire {wire} carries {output.type_names}, but the input needs {input_.type_names}."
            yield Problem(sentence + self._converters(output, input_), *self._end(wire))

    def _other_output(self, wire: Wire, source: Declaration) -> str:
        if wire.output in source.inputs:
            return " That is an input; a wire begins at an output."
        has = listed(map(quoted, source.outputs)) or "none"
        return self._hints.did_you_mean(wire.output, source.outputs) or f" It has {has}."

    def _other_input(self, wire: Wire, target: Declaration) -> str:
        if wire.input in target.settings:
            return " That is a setting: it is written on the node and takes no wire."
        if wire.input in target.outputs:
            return " That is an output; a wire ends at an input."
        has = listed(map(quoted, target.inputs)) or "none"
        return self._hints.did_you_mean(wire.input, target.inputs) or f" It has {has}."

    def _miscounted(self, id_: str, port: Input, wires: list[Wire]) -> Iterator[Problem]:
        if len(wires) > 1 and not port.many:
            sources = listed(f"{wire.source}.{wire.output}" for wire in wires)
            sentence = f"The input {id_}.{port.name} takes one wire and has {len(wires)}: from {sources}."
            yield Problem(sentence, id_, port.name)
        if not wires and not port.optional:
            fitting = [
                f"{other}.{output.name}"
                for output, nodes in self._outputs.items()
                if _fits(output, port)
                for other in nodes
                if other != id_
            ]
            source = f", as from {listed(fitting[:3], 'or')}" if fitting else ""
            sentence = f"Node {quoted(id_)}: the input {quoted(port.name)} needs a wire"
            yield Problem(f"{sentence} that carries {port.type_names}{source}.", id_, port.name)

    @cached_property
    def _outputs(self) -> dict[Output, list[str]]:
        """Some nodes that have each output."""
        found: dict[Output, list[str]] = {}
        for id_, node in self._declared.items():
            for output in node.outputs.values():
                nodes = found.setdefault(output, [])
                if len(nodes) < 4:
                    nodes.append(id_)
        return found

    def _find_converters(self, output: Output, input_: Input) -> str:
        """Nodes that take the one and give the other. Only asked after an error, as it imports every node."""
        found = []
        for type_ in self._catalog:
            try:
                node = self._catalog[type_]
            except NodeUnavailable:
                continue
            takes = any(_fits(output, port) for port in node.inputs.values())
            if takes and any(_fits(given, input_) for given in node.outputs.values()):
                found.append(type_)
        between = f"{type_name(output.gives[0])} to {type_name(input_.accepts[0])}"
        return f" From {between} leads {listed(found[:3], 'or')}." if found else ""


def _fits(output: Output, input_: Input) -> bool:
    accepted = (*input_.accepts, type(None)) if input_.optional else input_.accepts
    return all(issubclass(given, accepted) for given in output.gives)
