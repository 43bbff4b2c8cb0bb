"""A workflow as a Python script that a person reads, changes and runs, and that is read back as the workflow it is."""

from __future__ import annotations

import ast
import json
import keyword
import re
from collections.abc import Mapping
from pathlib import Path
from pprint import pformat
from typing import Any

from ..graph.catalog import Catalog, NodeUnavailable
from ..graph.check import Bound, Checked, bind
from ..graph.document import WorkflowError
from ..graph.files import Files
from ..graph.node import Declaration
from ..graph.problems import Problem, quoted
from ..graph.progress import Progress
from ..graph.provenance import Provenance
from ..graph.walk import file_name
from ..graph.workflow import Workflow

_FILES, _EDITOR = "FILES", "EDITOR"
_TAKEN = {_FILES, _EDITOR, "Files", "Path", "Provenance"}
_PLACEHOLDER = re.compile(r"\{([^{}]+\.[^{}]+)\}")
_WIDTH = 116

# ---------------------------------------------------------------- to a script


def write(workflow: Workflow, catalog: Catalog, files: Files) -> str:
    """The script that makes what `workflow` makes. Raises `WorkflowError` for one that cannot run as a whole."""
    modes = [id_ for id_, entry in workflow.nodes.items() if entry.extra.get("mode")]
    if modes:
        raise WorkflowError([Problem(f"Node {quoted(id_)} is muted or bypassed: a script runs all.") for id_ in modes])
    checked = bind(workflow, catalog, files, goals=list(workflow.nodes))
    if problems := [problem for problem in checked.problems if problem.needed]:
        raise WorkflowError(problems)
    names = _names(checked)
    used = {bound.declaration.function for bound in checked.nodes.values()}
    nodes = sorted(f"from {function.__module__} import {function.__name__}" for function in used)
    injected = {kind for bound in checked.nodes.values() for kind in bound.declaration.injected.values()}
    lines = [
        f'"""{_title(workflow)}\n\nWritten by `latentloom export`. It runs as it stands, and `latentloom run` reads it',
        'as the workflow it is, as long as it holds calls of nodes alone.\n"""\n',
    ]
    lines += ["from pathlib import Path\n"] if Files in injected else []
    lines += ["from latentloom.graph.files import Files"] if Files in injected else []
    lines += ["from latentloom.graph.provenance import Provenance"] if Provenance in injected else []
    lines += [*nodes, ""]
    if Files in injected:
        reading = {kind: [str(root.resolve()) for root in roots] for kind, roots in files.reading.items()}
        lines += [f"{_FILES} = Files(", "    reading={"]
        lines += [f'        "{kind}": [{", ".join(_path(root) for root in roots)}],' for kind, roots in reading.items()]
        lines += ["    },", f"    writing={_path(str(files.writing))},", ")", ""]
    lines += [_call(checked.nodes[id_], workflow, names, checked) for id_ in checked.order]
    lines += [
        "",
        "# What the editor knows besides: names, places, notes.",
        f"{_EDITOR} = {_editor(workflow, names)}",
        "",
    ]
    return "\n".join(lines)


def _path(path: str) -> str:
    return f"Path({_text(path)})"


def _text(text: str) -> str:
    """In double quotes, as JSON writes it, which Python reads alike."""
    return json.dumps(text, ensure_ascii=False)


def _title(workflow: Workflow) -> str:
    words = [workflow.name or "A workflow", str(workflow.document.get("description", ""))]
    text = ": ".join(word for word in words if word).replace("\\", "\\\\").replace('"', "'")
    return text if text.endswith(".") else f"{text}."


def _names(checked: Checked) -> dict[str, str]:
    """A variable for each node: its name, as far as that can be one."""
    taken = _TAKEN | {bound.declaration.name for bound in checked.nodes.values()}
    names: dict[str, str] = {}
    for id_ in checked.nodes:
        name = re.sub(r"\W", "_", id_, flags=re.ASCII)
        name = name if name[:1].isalpha() or name[:1] == "_" else f"node_{name}"
        while name in taken or keyword.iskeyword(name):
            name += "_"
        names[id_] = name
        taken.add(name)
    return names


def _call(node: Bound, workflow: Workflow, names: Mapping[str, str], checked: Checked) -> str:
    declared, given = node.declaration, workflow.nodes[node.id].settings
    arguments = []
    for port in declared.inputs.values():
        values = [_source(names, checked, *source) for source in node.sources.get(port.name, ())]
        if values:
            several = f"({', '.join(values)}{',' if len(values) == 1 else ''})"
            arguments.append(f"{port.name}={several if port.many else values[0]}")
    arguments += [
        f"{name}={_literal(declared, name, node.settings[name])}" for name in declared.settings if name in given
    ]
    for parameter, kind in declared.injected.items():
        if kind is Files:
            arguments.append(f"{parameter}={_FILES}")
        elif kind is Provenance:
            arguments.append(f"{parameter}={_provenance(node, workflow, checked)}")
        else:
            assert kind is Progress  # silent unless it is given
    head = f"{names[node.id]} = {declared.name}("
    line = f"{head}{', '.join(arguments)})"
    return line if len(line) <= _WIDTH else f"{head}\n    " + ",\n    ".join(arguments) + ",\n)"


def _source(names: Mapping[str, str], checked: Checked, id_: str, output: str) -> str:
    return f"{names[id_]}.{output}" if len(checked.nodes[id_].declaration.outputs) > 1 else names[id_]


def _literal(declared: Declaration, name: str, value: Any) -> str:
    if type(value) is str:
        return _text(value)
    text = repr(value)
    try:
        ast.literal_eval(text)
    except (ValueError, SyntaxError):  # an enum
        return repr(declared.settings[name].plain(value))
    return text


def _provenance(node: Bound, workflow: Workflow, checked: Checked) -> str:
    """What a name with settings in braces needs to be filled in."""
    texts = " ".join(value for value in node.settings.values() if isinstance(value, str))
    settings = {}
    for key in _PLACEHOLDER.findall(texts):
        id_, _, name = key.rpartition(".")
        if id_ in checked.nodes and name in checked.nodes[id_].settings:
            settings[key] = checked.nodes[id_].declaration.settings[name].plain(checked.nodes[id_].settings[name])
    filled = f", settings={settings!r}" if settings else ""
    return f"Provenance(name={_text(file_name(workflow.name))}, node={_text(node.id)}{filled})"


def _editor(workflow: Workflow, names: Mapping[str, str]) -> str:
    document = {key: value for key, value in workflow.document.items() if key not in ("nodes", "wires")}
    nodes = {}
    for id_, entry in workflow.document["nodes"].items():
        kept = {key: value for key, value in entry.items() if key not in ("type", "settings")}
        nodes[id_] = {"variable": names[id_], **kept}
    return pformat({**document, "nodes": nodes}, width=_WIDTH, sort_dicts=False)


# ---------------------------------------------------------------- from a script


def read(path: Path, catalog: Catalog) -> Workflow:
    """The workflow that the script at `path` is; nothing in it is run. Raises `WorkflowError` with every line that is
    no call of a node."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError) as error:
        raise WorkflowError([Problem(f"{path} cannot be read as a script: {error}.")]) from None
    return _Reader(catalog).read(tree)


class _Reader:
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._imported: dict[str, str] = {}
        self._nodes: dict[str, dict[str, Any]] = {}
        self._wires: list[tuple[str, str, str, str]] = []
        self._editor: dict[str, Any] = {}
        self._problems: list[Problem] = []

    def read(self, tree: ast.Module) -> Workflow:
        for place, statement in enumerate(tree.body):
            self._statement(statement, place)
        entries = self._editor.pop("nodes", {})
        ids = {entry["variable"]: id_ for id_, entry in entries.items()}
        for variable, node in self._nodes.items():
            kept = entries.get(ids.get(variable, ""), {})
            node.update({key: value for key, value in kept.items() if key != "variable"})
        if self._problems:
            raise WorkflowError(self._problems)
        ordered = sorted(self._nodes, key=[*ids, *self._nodes].index)
        return Workflow.of(
            {
                "format": 1,
                **self._editor,
                "nodes": {ids.get(variable, variable): self._nodes[variable] for variable in ordered},
                "wires": [
                    [f"{ids.get(source, source)}.{output}", f"{ids.get(target, target)}.{port}"]
                    for source, output, target, port in self._wires
                ],
            }
        )

    def _statement(self, statement: ast.stmt, place: int) -> None:
        match statement:
            case ast.Expr(ast.Constant(str())) if place == 0:
                return
            case ast.ImportFrom(module=str(module), names=names):
                self._imported |= {alias.asname or alias.name: f"{module}.{alias.name}" for alias in names}
            case ast.Assign([ast.Name(id)], value) if id == _EDITOR:
                try:
                    self._editor = ast.literal_eval(value)
                except ValueError:
                    self._refuse(statement, f"{_EDITOR} holds plain values alone")
            case ast.Assign([ast.Name(id)]) if id == _FILES:
                return
            case ast.Assign([ast.Name(id)], ast.Call(ast.Name(function)) as call) if function in self._imported:
                self._node(id, call)
            case _:
                self._refuse(statement, "a script that is read as a workflow holds calls of nodes alone")

    def _node(self, variable: str, call: ast.Call) -> None:
        function = call.func.id  # type: ignore[attr-defined]
        if variable in self._nodes:
            self._refuse(call, f"{variable} is assigned twice")
        if call.args or any(argument.arg is None for argument in call.keywords):
            self._refuse(call, "write each argument by its name")
        self._nodes[variable] = {"type": function, "settings": {}}
        for argument in call.keywords:
            if argument.arg is not None and not self._injected(argument.value):
                self._argument(variable, argument.arg, argument.value)

    def _injected(self, value: ast.expr) -> bool:
        """Files and where things come from are the run's own, and in no workflow."""
        match value:
            case ast.Name(id):
                return id == _FILES
            case ast.Call(ast.Name(function)):
                return function == "Provenance"
        return False

    def _argument(self, variable: str, name: str, value: ast.expr) -> None:
        sources = [self._source(part) for part in (value.elts if isinstance(value, ast.Tuple) else [value])]
        if sources and all(sources):
            self._wires += [(*source, variable, name) for source in sources if source]
            return
        try:
            self._nodes[variable]["settings"][name] = ast.literal_eval(value)
        except ValueError:
            self._refuse(value, f"{name} is neither a value nor what a node above gives")

    def _source(self, value: ast.expr) -> tuple[str, str] | None:
        match value:
            case ast.Name(variable) if variable in self._nodes:
                try:
                    outputs = self._catalog[self._nodes[variable]["type"]].outputs
                except (KeyError, NodeUnavailable):
                    return variable, "result"
                return variable, next(iter(outputs), "result")
            case ast.Attribute(ast.Name(variable), output) if variable in self._nodes:
                return variable, output
        return None

    def _refuse(self, place: ast.stmt | ast.expr, sentence: str) -> None:
        self._problems.append(Problem(f"Line {place.lineno}: {sentence}."))
