"""Whatever a node noted, as plain values that JSON has and that pass between processes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from typing import Any

_LONGEST = 10_000
"""Letters of a text and entries of a list; what is beyond is left out and counted."""

_DEEPEST = 8


def plain(value: Any, depth: int = 0) -> Any:
    """`value` of JSON's types alone: text for what JSON does not know, None for numbers that are not finite."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _cut(str(value))
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if depth < _DEEPEST and isinstance(value, Mapping):
        return {_text(key): plain(part, depth + 1) for key, part in list(value.items())[:_LONGEST]}
    if depth < _DEEPEST and isinstance(value, Sequence | Set) and not isinstance(value, bytes | bytearray):
        parts = list(value)
        kept = [plain(part, depth + 1) for part in parts[:_LONGEST]]
        return kept if len(parts) <= _LONGEST else [*kept, f"… {len(parts) - _LONGEST} more"]
    return _text(value)


def _text(value: Any) -> str:
    try:
        return _cut(str(value))
    except Exception:  # whatever the `__str__` of a foreign class does
        return f"a {type(value).__name__}"


def _cut(text: str) -> str:
    text = text.encode(errors="replace").decode()  # half a character (a lone surrogate) is none in JSON
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… {len(text) - _LONGEST} letters more"
