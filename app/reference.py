"""What the declarations of nodes say, as plain values and as Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from ..graph.catalog import Catalog, NodeUnavailable
from ..graph.files import Reads, Writes
from ..graph.node import Declaration, Setting
from ..graph.ports import Input, Output, type_name
from ..graph.problems import Problem

_TYPES = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "null": "nothing",
}


def catalog_of(catalog: Catalog, names: Iterable[str] | None = None) -> dict[str, Any]:
    """All nodes, or those of these names, by category and name; the types their wires carry, each with those it is a
    kind of, nearest first; and what cannot be used. All as JSON values."""
    declared, problems = [], []
    for name in catalog if names is None else names:
        try:
            declared.append(catalog[name])
        except NodeUnavailable as error:
            problems.append(asdict(Problem(str(error))))
    declared.sort(key=lambda node: (node.category, node.name))
    carried = [
        kind
        for node in declared
        for port in (*node.inputs.values(), *node.outputs.values())
        for kind in (port.accepts if isinstance(port, Input) else port.gives)
    ]
    types = {type_name(kind): [type_name(each) for each in kind.__mro__ if each is not object] for kind in carried}
    return {"nodes": [describe(node) for node in declared], "types": dict(sorted(types.items())), "problems": problems}


def describe(node: Declaration) -> dict[str, Any]:
    """Everything a reference tells of a node, as JSON values."""
    return {
        "name": node.name,
        "title": node.title,
        "category": node.category,
        "effect": node.effect,
        "summary": node.summary,
        "doc": node.doc,
        "inputs": [
            {"name": port.name, "types": _names(port), "optional": port.optional, "many": port.many}
            for port in node.inputs.values()
        ],
        "outputs": [{"name": port.name, "types": _names(port)} for port in node.outputs.values()],
        "settings": [_setting(setting) for setting in node.settings.values()],
        "links": node.links,
    }


def markdown(nodes: Iterable[Mapping[str, Any]]) -> str:
    """The nodes that `describe` described, as sections of a Markdown page."""
    return "\n".join(_section(node) for node in nodes).rstrip()


def kind(schema: Mapping[str, Any]) -> str:
    """What a JSON schema accepts, in words: `whole number from 1 to 1000`, `png | jpeg | webp`."""
    if "$defs" in schema:
        return kind(_whole(schema))
    if "enum" in schema:
        return " | ".join(shown(value) for value in schema["enum"])
    if "const" in schema:
        return shown(schema["const"])
    if "anyOf" in schema:
        return " or ".join(kind(part) for part in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {kind(schema.get('items', {}))}"
    return _TYPES.get(schema.get("type", ""), "value") + _limits(schema)


def shown(value: Any) -> str:
    """A value as a person reads it: text as it is, unless that would show as nothing, and the rest as JSON."""
    if isinstance(value, str) and value.strip() == value and value:
        return value
    return json.dumps(value, ensure_ascii=False)


def _names(port: Input | Output) -> list[str]:
    return [type_name(kind) for kind in (port.accepts if isinstance(port, Input) else port.gives)]


def _setting(setting: Setting) -> dict[str, Any]:
    schema = _whole(setting.schema)
    reads = setting.markers(Reads)
    return {
        "name": setting.name,
        "kind": kind(schema),
        "required": setting.required,
        "default": schema.get("default"),
        "description": setting.description,
        "schema": schema,
        "reads": reads[0].kind if reads else None,
        "writes": bool(setting.markers(Writes)),
    }


def _whole(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema with its definitions written where they are referred to, so that whoever draws it need not look."""
    definitions = schema.get("$defs", {})

    def filled(part: Any) -> Any:
        if isinstance(part, Mapping):
            named = definitions[part["$ref"].rpartition("/")[2]] if "$ref" in part else {}
            return {key: filled(value) for key, value in {**named, **part}.items() if key not in ("$ref", "$defs")}
        return [filled(each) for each in part] if isinstance(part, list) else part

    return filled(schema)


def _limits(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        return f" from {least:g} to {most:g}"
    words = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    return "".join(f", {word} {schema[key]:g}" for key, word in words.items() if key in schema)


def _section(node: Mapping[str, Any]) -> str:
    lines = [f"## {node['name']}", "", f"*{node['category']}*" + (" · runs every time" if node["effect"] else ""), ""]
    lines += [node["doc"], ""]
    for title, ports in (("Inputs", node["inputs"]), ("Outputs", node["outputs"])):
        if ports:
            lines += [f"**{title}**: " + ", ".join(_port(port) for port in ports), ""]
    if node["settings"]:
        lines += ["| setting | takes | default | |", "|---|---|---|---|"]
        for setting in node["settings"]:
            default = "needs a value" if setting["required"] else f"`{shown(setting['default'])}`"
            cells = (f"`{setting['name']}`", setting["kind"], default, setting["description"])
            lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
        lines.append("")
    if node["links"]:
        lines += ["Sources: " + ", ".join(f"<{link}>" for link in node["links"]), ""]
    return "\n".join(lines)


def _port(port: Mapping[str, Any]) -> str:
    extra = ", any number" if port.get("many") else ", may stay empty" if port.get("optional") else ""
    return f"`{port['name']}` ({' or '.join(port['types'])}{extra})"
