"""Files of earlier versions made current, one format after another.

Upgrade `i` takes a document of format `i` to format `i + 1` and says in a sentence what it changed. The list only ever
grows, and `FORMAT` in `graph/workflow.py` is its length. A document may be anything but well formed: what an upgrade
does not understand it leaves as it is, and reading the file then says what is wrong there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Document = dict[str, Any]

_NODE_KEYS = ("type", "at")


def name_settings_and_wires(document: Document) -> tuple[Document, str]:
    """Format 0 had a node's settings beside its type, and wires as `{"from": "a.image", "to": "b.image"}`."""
    nodes, wires = document.get("nodes"), document.get("wires")
    if isinstance(nodes, dict):
        document["nodes"] = {id_: _with_settings(node) for id_, node in nodes.items()}
    if isinstance(wires, list):
        document["wires"] = [_as_pair(wire) for wire in wires]
    return document, "The settings of each node now stand under its settings, and wires are written as pairs."


def _with_settings(node: Any) -> Any:
    if not isinstance(node, dict) or "settings" in node:
        return node
    kept = {key: value for key, value in node.items() if key in _NODE_KEYS}
    settings = {key: value for key, value in node.items() if key not in _NODE_KEYS}
    return {**kept, "settings": settings} if settings else kept


def _as_pair(wire: Any) -> Any:
    return [wire["from"], wire["to"]] if isinstance(wire, dict) and wire.keys() == {"from", "to"} else wire


UPGRADES: tuple[Callable[[Document], tuple[Document, str]], ...] = (name_settings_and_wires,)
