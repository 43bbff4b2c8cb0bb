"""What a node's declaration says, as plain values and as Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from ..graph.node import Declaration, Setting

_TYPES = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "null": "nothing",
}


def describe(node: Declaration) -> dict[str, Any]:
    """Everything a reference tells of a node, as JSON values."""
    return {
        "name": node.name,
        "category": node.category,
        "effect": node.effect,
        "summary": node.summary,
        "doc": node.doc,
        "inputs": [
            {"name": port.name, "type": port.type_names, "optional": port.optional, "many": port.many}
            for port in node.inputs.values()
        ],
        "outputs": [{"name": port.name, "type": port.type_names} for port in node.outputs.values()],
        "settings": [_setting(setting) for setting in node.settings.values()],
        "links": node.links,
    }


def markdown(nodes: Iterable[Mapping[str, Any]]) -> str:
    """The nodes that `describe` described, as sections of a Markdown page."""
    return "\n".join(_section(node) for node in nodes).rstrip()


def kind(schema: Mapping[str, Any], definitions: Mapping[str, Any] = MappingProxyType({})) -> str:
    """What a JSON schema accepts, in words: `whole number from 1 to 1000`, `png | jpeg | webp`."""
    definitions = definitions or schema.get("$defs", {})
    if "$ref" in schema:
        return kind(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "enum" in schema:
        return " | ".join(_shown(value) for value in schema["enum"])
    if "const" in schema:
        return _shown(schema["const"])
    if "anyOf" in schema:
        return " or ".join(kind(part, definitions) for part in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {kind(schema.get('items', {}), definitions)}"
    return _TYPES.get(schema.get("type", ""), "value") + _limits(schema)


def _setting(setting: Setting) -> dict[str, Any]:
    schema = setting.schema
    return {
        "name": setting.name,
        "kind": kind(schema),
        "required": setting.required,
        "default": schema.get("default"),
        "shown_default": _shown(schema.get("default")),
        "description": setting.description,
        "schema": schema,
    }


def _limits(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        return f" from {least:g} to {most:g}"
    words = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    return "".join(f", {word} {schema[key]:g}" for key, word in words.items() if key in schema)


def _shown(value: Any) -> str:
    if isinstance(value, str) and value.strip() == value and value:
        return value
    return json.dumps(value, ensure_ascii=False)


def _section(node: Mapping[str, Any]) -> str:
    lines = [f"## {node['name']}", "", f"*{node['category']}*" + (" · runs every time" if node["effect"] else ""), ""]
    lines += [node["doc"], ""]
    for title, ports in (("Inputs", node["inputs"]), ("Outputs", node["outputs"])):
        if ports:
            lines += [f"**{title}**: " + ", ".join(_port(port) for port in ports), ""]
    if node["settings"]:
        lines += ["| setting | takes | default | |", "|---|---|---|---|"]
        for setting in node["settings"]:
            default = "needs a value" if setting["required"] else f"`{setting['shown_default']}`"
            cells = (f"`{setting['name']}`", setting["kind"], default, setting["description"])
            lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
        lines.append("")
    if node["links"]:
        lines += ["Sources: " + ", ".join(f"<{link}>" for link in node["links"]), ""]
    return "\n".join(lines)


def _port(port: Mapping[str, Any]) -> str:
    extra = ", any number" if port.get("many") else ", may stay empty" if port.get("optional") else ""
    return f"`{port['name']}` ({port['type']}{extra})"
