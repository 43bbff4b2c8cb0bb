"""Why the workspace refuses: what is not there, and what somebody else changed meanwhile."""

from __future__ import annotations

from typing import NoReturn

from ...graph.problems import Problem, Refused


class Missing(Refused):
    """There is no such file, version, draft, share or run."""


class Conflict(Refused):
    """A file is not as the writer last saw it; `etag` names its state now, `None` that it is gone."""

    def __init__(self, sentence: str, etag: str | None) -> None:
        self.etag = etag
        super().__init__([Problem(sentence)])


def refuse(sentence: str) -> NoReturn:
    """Raises `Refused` with one sentence."""
    raise Refused([Problem(sentence)])


def miss(sentence: str) -> NoReturn:
    """Raises `Missing` with one sentence."""
    raise Missing([Problem(sentence)])
