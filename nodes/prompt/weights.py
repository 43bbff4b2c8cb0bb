"""Prompt weights, as users of AUTOMATIC1111 and ComfyUI write them.

`(word)` is 1.1 times as strong, `(word:1.3)` 1.3 times, `[word]` 1/1.1 times; brackets inside brackets multiply. `\\(`,
`\\)`, `\\[`, `\\]` and `\\\\` are the characters themselves. BREAK, as a word of its own, begins a new chunk. Brackets
that do not match are text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

STEP = 1.1
"""What a pair of brackets without a number multiplies by."""
STRONGEST = 100.0
"""No weight is further from 0: a slip of the keyboard must not make numbers overflow."""

_PIECE = re.compile(r"\\([()\[\]\\])|([()\[\]])|([^\\()\[\]]+|\\)")
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)\s*")
_BREAK = re.compile(r"\bBREAK\b")
_CLOSES = {")": "(", "]": "["}


@dataclass(frozen=True)
class Span:
    """A piece of text and its weight; a `text` of None begins a new chunk."""

    text: str | None
    weight: float = 1.0


def parse(prompt: str) -> list[Span]:
    """The spans of `prompt` in order; neighbours of equal weight are one. Takes any text and never fails."""
    pieces = [(found[0] or found[1] or found[2], bool(found[1])) for found in _PIECE.findall(prompt)]
    pairs, tails = _pairs(pieces)
    closing = set(pairs.values())
    runs: list[tuple[float, list[str]]] = []
    weights = [1.0]
    for at, (text, _) in enumerate(pieces):
        if at in pairs:
            weights.append(weights[-1] * _factor(pieces, at, pairs[at]))
        elif at in closing:
            weights.pop()
        else:
            weight = max(-STRONGEST, min(STRONGEST, weights[-1]))
            text = text.rpartition(":")[0] if at in tails else text
            if text and runs and runs[-1][0] == weight:
                runs[-1][1].append(text)
            elif text:
                runs.append((weight, [text]))
    return [part for weight, texts in runs for part in _broken(Span("".join(texts), weight))]


def _pairs(pieces: list[tuple[str, bool]]) -> tuple[dict[int, int], set[int]]:
    """Where each matching bracket that opens is closed, and which texts end in their bracket's weight."""
    pairs: dict[int, int] = {}
    opened: list[int] = []
    waiting = {"(": 0, "[": 0}
    for at, (text, bracket) in enumerate(pieces):
        if not bracket:
            continue
        if text in waiting:
            opened.append(at)
            waiting[text] += 1
        elif waiting[_CLOSES[text]]:
            # What was opened inside and is still open has no partner: it is text.
            while True:
                start = opened.pop()
                waiting[pieces[start][0]] -= 1
                if pieces[start][0] == _CLOSES[text]:
                    break
            pairs[start] = at
    tails = {close - 1 for start, close in pairs.items() if _number(pieces, start, close) is not None}
    return pairs, tails


def _number(pieces: list[tuple[str, bool]], start: int, close: int) -> float | None:
    """The weight written before a closing round bracket."""
    text, bracket = pieces[close - 1]
    _, colon, tail = text.rpartition(":")
    if pieces[start][0] != "(" or bracket or not colon or not _NUMBER.fullmatch(tail):
        return None
    return float(tail)


def _factor(pieces: list[tuple[str, bool]], start: int, close: int) -> float:
    if pieces[start][0] == "[":
        return 1 / STEP
    number = _number(pieces, start, close)
    return STEP if number is None else number


def _broken(span: Span) -> list[Span]:
    first, *rest = _BREAK.split(span.text or "")
    if not rest:
        return [span]
    parts = [Span(first.strip(), span.weight)]
    for text in rest:
        parts += [Span(None), Span(text.strip(), span.weight)]
    return [part for part in parts if part.text != ""]
