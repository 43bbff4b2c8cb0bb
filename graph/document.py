"""JSON in and out, for files that come from strangers: every odd thing in them gives a sentence with its place."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .problems import Problem, Refused, quoted

Document = dict[str, Any]

MAX_BYTES = 16 << 20
MAX_STRING = 1 << 20
MAX_VALUES = 500_000
MAX_DEPTH = 64
MAX_DIGITS = 40

_NESTING = (dict, list, tuple)
_SURROGATE = re.compile("[\ud800-\udfff]")


class WorkflowError(Refused):
    """A text that is no workflow; `problems` says why."""


def load(data: bytes) -> Document:
    """The JSON object `data` holds. Raises `WorkflowError` with every reason why it is none."""
    if len(data) > MAX_BYTES:
        raise _refused(f"The file has {len(data) / 1e6:.0f} MB; a workflow has at most {MAX_BYTES >> 20} MB.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _refused(f"The file is not UTF-8 text: byte {data[error.start]:#04x} in line {line}.") from None
    repeated: dict[int, list[str]] = {}
    kept: list[Document] = []  # alive, so that no id in `repeated` is given twice

    def collect(pairs: list[tuple[str, Any]]) -> Document:
        found = dict(pairs)
        if len(found) < len(pairs):
            seen: set[str] = set()
            repeated[id(found)] = [key for key, _ in pairs if key in seen or seen.add(key)]
            kept.append(found)
        return found

    try:
        document = json.loads(text, object_pairs_hook=collect, parse_int=_whole)
    except json.JSONDecodeError as error:
        raise _refused(_not_json(text, error)) from None
    except RecursionError:
        raise _refused(f"The file {_fault([])}") from None
    problems = list(faults(document, repeated))
    if not isinstance(document, dict):
        problems.insert(0, Problem(f"A workflow is a JSON object {{...}}; this is {kind(document)}."))
    if problems:
        raise WorkflowError(problems)
    return document


def dump(document: Document) -> str:
    """JSON text with one entry of each top-level list or object a line, so that a change is a readable diff."""
    entries = []
    for key, value in document.items():
        if isinstance(value, dict) and value:
            inner = ",\n".join(f"    {_json(str(name))}: {_json(part)}" for name, part in value.items())
            entries.append(f"  {_json(key)}: {{\n{inner}\n  }}")
        elif isinstance(value, list | tuple) and value:
            inner = ",\n".join(f"    {_json(part)}" for part in value)
            entries.append(f"  {_json(key)}: [\n{inner}\n  ]")
        else:
            entries.append(f"  {_json(key)}: {_json(value)}")
    return "{\n" + ",\n".join(entries) + "\n}\n" if entries else "{}\n"


def faults(document: Any, repeated: Mapping[int, list[str]] | None = None) -> Iterator[Problem]:
    """What in `document` cannot be kept in a file and given back: no JSON, no finite number, too long, too deep.

    `repeated` holds, by object id, the keys that stood more than once in an object.
    """
    place: list[str | int] = []
    levels: list[Iterator[tuple[str | int, Any]]] = [iter([("", document)])]
    count = 0
    while levels:
        if (entry := next(levels[-1], None)) is None:
            levels.pop()
            del place[-1:]
            continue
        key, value = entry
        count += 1
        if count > MAX_VALUES:
            yield Problem(f"The file holds more than {MAX_VALUES} values; a workflow has fewer.")
            return
        if isinstance(value, _NESTING) and len(levels) <= MAX_DEPTH:
            place.append(key)
            if isinstance(value, dict):
                levels.append(iter(value.items()))
                yield from _key_faults(where(place), value, (repeated or {}).get(id(value), ()))
            else:
                levels.append(iter(enumerate(value)))
        elif fault := _fault(value):
            yield Problem(f"{where([*place, key])} {fault}")


def where(place: Sequence[str | int]) -> str:
    """`nodes.sample.settings.text`, as a person reads a place in the file; it begins with the file itself, unnamed."""
    shown = [quoted(str(part))[1:-1] for part in place[1:10]]
    return ".".join(shown if len(place) <= 10 else [*shown, "…"]) or "The file"


def kind(value: Any) -> str:
    """What sort of JSON `value` is, with its article."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _fault(value: Any) -> str:
    """What is wrong with a value that is not looked into any further; empty when nothing is."""
    if isinstance(value, str):
        return _text_fault(value)
    if isinstance(value, float) and not math.isfinite(value):
        return f"is {'not a number (NaN)' if math.isnan(value) else 'too large a number'}; write a finite one."
    if isinstance(value, _NESTING):
        return f"is nested deeper than {MAX_DEPTH} levels; a workflow is not."
    if value is not None and not isinstance(value, int | float):
        return f"is a {type(value).__name__}, which a file cannot hold."
    return ""


def _key_faults(place: str, value: Mapping[Any, Any], repeated: Sequence[str]) -> Iterator[Problem]:
    for key in repeated:
        yield Problem(f"{place} has the key {quoted(key)} more than once; keep one of them.")
    for key in value:
        if not isinstance(key, str):
            yield Problem(f"{place} has the key {key!r}; keys are text.")
        elif fault := _text_fault(key):
            yield Problem(f"A key in {place} {fault}")


def _text_fault(text: str) -> str:
    if len(text) > MAX_STRING:
        return f"is text of {len(text)} characters; at most {MAX_STRING} are taken."
    if not text.isascii() and _SURROGATE.search(text):
        return "holds half a character (a lone surrogate), which no file can keep."
    return ""


def _whole(digits: str) -> int | float:
    # Longer ones overflow wherever a float is made of them; the walk then reports them as too large.
    return int(digits) if len(digits) <= MAX_DIGITS else math.inf


def _not_json(text: str, error: json.JSONDecodeError) -> str:
    if not text.strip():
        return "The file is empty; a workflow is a JSON object {...}."
    place = f"line {error.lineno}, column {error.colno}"
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
        return f"The file ends in the middle ({place}): part of it seems to be missing."
    return f"The file is not JSON: {error.msg.removesuffix(' at')} at {place}."


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _refused(sentence: str) -> WorkflowError:
    return WorkflowError([Problem(sentence)])
