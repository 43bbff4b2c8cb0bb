"""Values of one setting over many rows, as they are typed: `0..99`, `0..1..0.25`, `3,5,7`, `["a, b", "c"]`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from ...graph.problems import quoted

MOST = 100_000_000
"""Values of one range; more is a mistake."""

_NUMBER = r"-?\d+(?:\.\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(?:\.\.({_NUMBER}))?")


def values(text: str) -> Sequence[Any]:
    """The values `text` stands for; both ends of a range are among them. Raises `ValueError` with a sentence.

    Parts of a list divided by commas are texts, which the setting reads as it needs them.
    """
    text = text.strip()
    if text.startswith("["):
        return _listed(text)
    if found := _RANGE.fullmatch(text):
        return _range(text, *(Decimal(part) for part in (found[1], found[2], found[3] or "1")))
    if parts := [part.strip() for part in text.split(",") if part.strip()]:
        return parts
    raise ValueError("there are no values: write 0..99, 3,5,7 or a JSON list.")


def _listed(text: str) -> list[Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{quoted(text)} is no JSON list: {error}.") from None
    if not isinstance(found, list) or not found:
        raise ValueError(f"{quoted(text)} holds no values.")
    return found


def _range(text: str, first: Decimal, last: Decimal, step: Decimal) -> Sequence[Any]:
    if step == 0 or (last - first) / step < 0:
        raise ValueError(f"{text} never arrives at {last}; write FROM..TO or FROM..TO..STEP.")
    count = int((last - first) / step) + 1
    if count > MOST:
        raise ValueError(f"{text} has {count} values; at most {MOST} are taken.")
    if all(number == int(number) and "." not in str(number) for number in (first, last, step)):
        return range(int(first), int(first) + count * int(step), int(step))
    return [float(first + index * step) for index in range(count)]
