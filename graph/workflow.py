"""A workflow file: nodes with their settings, wires between named ports, and whatever else stood in it.

What is not understood (unknown nodes, settings, keys) is kept and saved again; what was not changed is saved again byte
for byte. Whether the nodes fit together is for `check`; here only the form of the file is read.
"""

from __future__ import annotations

import copy
import json
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from . import atomic, document
from .document import Document, WorkflowError, kind
from .problems import Problem, did_you_mean, quoted

FORMAT = 1
"""The number files are written with."""

MAX_NODES = 5000
MAX_WIRES = 50_000

Upgrade = Callable[[Document], tuple[Document, str]]
"""Takes a document of one format to the next. It gets its own copy, of which it can take nothing for granted but that
it is an object; it gives the sentence that tells the user what changed."""

_NODE_KEYS = ("type", "settings", "at")


@dataclass(frozen=True)
class NodeEntry:
    """A node as the file has it: settings as JSON gave them, place on the canvas, keys not understood."""

    type: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    at: tuple[float, float] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Wire:
    """From an output of the node `source` to an input of the node `target`."""

    source: str
    output: str
    target: str
    input: str

    def __str__(self) -> str:
        return f"{self.source}.{self.output} -> {self.target}.{self.input}"


@dataclass(frozen=True, eq=False)
class Workflow:
    """Never changed, only replaced: `with_settings` and `with_lock` give a new one.

    `document` is the file's JSON, `changes` the sentences of the upgrades it went through.
    """

    document: Mapping[str, Any]
    nodes: Mapping[str, NodeEntry]
    wires: tuple[Wire, ...]
    changes: tuple[str, ...] = ()
    original: bytes | None = None

    @property
    def name(self) -> str:
        return self.document.get("name", "")

    @property
    def lock(self) -> Mapping[str, Any]:
        """The versions and model fingerprints the file was last saved with; empty when it says none."""
        return self.document.get("lock", {})

    @classmethod
    def parse(cls, text: str | bytes, upgrades: Sequence[Upgrade] = ()) -> Workflow:
        """The workflow `text` holds. Raises `WorkflowError` with everything that is wrong with its form."""
        if isinstance(text, str):
            try:
                text = text.encode()
            except UnicodeEncodeError:
                raise WorkflowError([Problem("The text holds half a character (a lone surrogate).")]) from None
        found = document.load(text)
        upgraded, changes = _upgraded(found, upgrades)
        workflow = cls._of(upgraded)
        return replace(workflow, changes=changes, original=text if upgraded is found else None)

    @classmethod
    def read(cls, path: str | Path, upgrades: Sequence[Upgrade] = ()) -> Workflow:
        """The workflow in the file at `path`. Raises `WorkflowError`."""
        try:
            status = Path(path).stat()
            # Anything but a file may never end; and one too long is better not read at all.
            if not stat.S_ISREG(status.st_mode):
                raise WorkflowError([Problem(f"{path} is not a file.")])
            with Path(path).open("rb") as file:
                data = file.read(document.MAX_BYTES + 1)
        except FileNotFoundError:
            raise WorkflowError([Problem(f"There is no file {path}.")]) from None
        except (OSError, ValueError) as error:
            raise WorkflowError([Problem(f"{quoted(str(path))} cannot be read: {_reason(error)}.")]) from None
        if len(data) > document.MAX_BYTES:
            size = f"{status.st_size / 1e6:.0f} MB"
            limit = f"{document.MAX_BYTES >> 20} MB"
            raise WorkflowError([Problem(f"{path} has {size}; a workflow has at most {limit}.")])
        return cls.parse(data, upgrades)

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Workflow:
        """The workflow a document of the current format describes. Raises `WorkflowError`."""
        if problems := list(document.faults(content)):
            raise WorkflowError(problems)
        return cls._of(json.loads(json.dumps(dict(content))))  # its own copy, of plain JSON only

    @classmethod
    def _of(cls, content: Document) -> Workflow:
        if problems := list(_form_faults(content)):
            # Of a file so far from a workflow, the faults of its nodes and wires would only be noise.
            raise WorkflowError(problems)
        nodes = _nodes(content.get("nodes", {}), problems)
        wires = _wires(content.get("wires", []), problems)
        if problems:
            raise WorkflowError(problems)
        return cls(content, nodes, wires)

    def dumps(self) -> str:
        """The file's text: one node a line, one wire a line."""
        return document.dump(dict(self.document))

    @property
    def data(self) -> bytes:
        """What `save` writes: the bytes that were read, as long as nothing changed, or else `dumps()`."""
        return self.original if self.original is not None else self.dumps().encode()

    def save(self, path: str | Path) -> None:
        """Write the file whole, or leave the one that is there. Raises `WorkflowError`."""
        try:
            atomic.write(Path(path), self.data)
        except (OSError, ValueError) as error:
            raise WorkflowError([Problem(f"{quoted(str(path))} cannot be written: {_reason(error)}.")]) from None

    def with_settings(self, values: Mapping[str, Any]) -> Workflow:
        """With settings replaced, each named `node.setting`. Raises `WorkflowError` where there is no such node."""
        problems = []
        changed: Document = copy.deepcopy(dict(self.document))
        for key, value in values.items():
            node, dot, setting = key.rpartition(".")
            if not dot or not node or not setting:
                problems.append(Problem(f"{quoted(key)} names no setting: write it node.setting."))
            elif node not in self.nodes:
                hint = did_you_mean(node, self.nodes)
                problems.append(Problem(f"There is no node {quoted(node)} to set {quoted(setting)} on.{hint}"))
            else:
                changed["nodes"][node].setdefault("settings", {})[setting] = value
        if problems:
            raise WorkflowError(problems)
        return replace(Workflow.of(changed), changes=self.changes) if values else self

    def with_lock(self, lock: Mapping[str, Any]) -> Workflow:
        """With what it was run with written down."""
        return replace(Workflow.of({**self.document, "lock": dict(lock)}), changes=self.changes)


def _upgraded(found: Document, upgrades: Sequence[Upgrade]) -> tuple[Document, tuple[str, ...]]:
    number = found.get("format")
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        has = "has no format number" if number is None else f"has {kind(number)} as format number"
        raise WorkflowError([Problem(f'The file {has}; a workflow of today begins {{"format": {FORMAT}, …}}.')])
    if number > FORMAT:
        sentence = f"The file has format {number}; this version reads up to {FORMAT}. Upgrade latentloom to open it."
        raise WorkflowError([Problem(sentence)])
    if number == FORMAT:
        return found, ()
    if len(upgrades) != FORMAT:
        raise WorkflowError([Problem(f"The file has format {number}, and nothing here upgrades it to {FORMAT}.")])
    changed, changes = copy.deepcopy(found), []
    for step, upgrade in enumerate(upgrades[number:], start=number + 1):
        changed, sentence = upgrade(changed)
        changed["format"] = step
        changes.append(sentence)
    return changed, tuple(sentence for sentence in changes if sentence)


def _form_faults(content: Document) -> Iterator[Problem]:
    """What is wrong with the keys at the top."""
    expected = {"name": str, "nodes": dict, "wires": list, "groups": list, "notes": list, "lock": dict}
    said = {str: "text", dict: "an object {...}", list: "a list [...]"}
    for key, wanted in expected.items():
        if key in content and not isinstance(content[key], wanted):
            yield Problem(f"{key} is {kind(content[key])}; it must be {said[wanted]}.")
    for key, limit in (("nodes", MAX_NODES), ("wires", MAX_WIRES)):
        value = content.get(key)
        if isinstance(value, dict | list) and len(value) > limit:
            yield Problem(f"The workflow has {len(value)} {key}; at most {limit} are taken.")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _nodes(content: Mapping[str, Any], problems: list[Problem]) -> dict[str, NodeEntry]:
    nodes = {}
    for id_, entry in content.items():
        found = list(_node_faults(id_, entry))
        problems += found
        if not found:
            at = entry.get("at")
            extra = {key: value for key, value in entry.items() if key not in _NODE_KEYS}
            nodes[id_] = NodeEntry(entry["type"], entry.get("settings", {}), tuple(at) if at else None, extra)
    return nodes


def _node_faults(id_: str, entry: Any) -> list[Problem]:
    if not id_ or not id_.isprintable() or len(id_) > 200:
        return [Problem(f"{quoted(id_)} is no name for a node: 1 to 200 printable characters are taken.")]
    if not isinstance(entry, dict):
        return [Problem(f'Node {quoted(id_)} is {kind(entry)}; it must be an object {{"type": ...}}.', id_)]
    problems = []
    type_ = entry.get("type")
    if not isinstance(type_, str) or not type_:
        has = "has no type" if type_ is None else f"has {kind(type_)} as its type" if type_ else "has an empty type"
        problems.append(Problem(f"Node {quoted(id_)} {has}; it must be the name of a kind of node.", id_))
    if not isinstance(settings := entry.get("settings", {}), dict):
        problems.append(Problem(f"Node {quoted(id_)}: settings is {kind(settings)}; it must be an object.", id_))
    at = entry.get("at")
    numbers = isinstance(at, list) and [isinstance(x, int | float) and not isinstance(x, bool) for x in at]
    if at is not None and numbers != [True, True]:
        problems.append(Problem(f"Node {quoted(id_)}: at must be two numbers, [x, y].", id_))
    return problems


def _wires(content: Sequence[Any], problems: list[Problem]) -> tuple[Wire, ...]:
    wires = []
    for number, entry in enumerate(content, start=1):
        ends = [end.rpartition(".") for end in entry if isinstance(end, str)] if isinstance(entry, list) else []
        if len(ends) == 2 == len(entry) and all(node and port for node, _, port in ends):
            (source, _, output), (target, _, input_) = ends
            wires.append(Wire(source, output, target, input_))
        else:
            problems.append(Problem(f'Wire {number} is not written ["node.output", "node.input"].'))
    return tuple(wires)
