"""What is wrong with a workflow, in sentences a person can act on."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One sentence, and where it applies. `needed` is False where the goals of the run do not depend on the place:
    such a problem is a warning and stops nothing."""

    sentence: str
    node: str | None = None
    port: str | None = None
    setting: str | None = None
    needed: bool = True

    def __str__(self) -> str:
        return self.sentence


class Refused(Exception):  # noqa: N818 - carries problems, each a sentence
    """Something was refused before it began; `problems` holds every reason."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problem.sentence for problem in self.problems))


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that looks most like `word`, if one does."""
    # The comparison takes time in proportion to both lengths; no name a person mistyped is that long.
    close = difflib.get_close_matches(word[:100], list(known), n=1)
    return close[0] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` Did you mean "x"?` for the known word that looks most like `word`, or else an empty string."""
    meant = closest(word, known)
    return f" Did you mean {quoted(meant)}?" if meant else ""


class Hints:
    """`did_you_mean` for one file. Past its budget it is silent: a file with thousands of wrong names is not read
    for its spelling, and comparing all of them with all would take minutes."""

    def __init__(self, comparisons: int = 50_000) -> None:
        self._left = comparisons

    def did_you_mean(self, word: str, known: Collection[str]) -> str:
        self._left -= len(known) + 10  # a call costs about as much as ten comparisons
        return did_you_mean(word, known) if self._left >= 0 else ""


def quoted(word: str, limit: int = 80) -> str:
    """`word` in quotes, on one line, cut where it is long."""
    shown = word if len(word) <= limit else word[:limit] + "…"
    if not shown.isprintable():
        shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in shown)
    return f'"{shown}"'


def listed(words: Iterable[str], last: str = "and", limit: int = 12) -> str:
    """`a, b and c`; a long list is cut and its rest counted."""
    words = list(words)
    if len(words) > limit:
        words = [*words[:limit], f"{len(words) - limit} more"]
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"
