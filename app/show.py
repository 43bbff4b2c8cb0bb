"""What every command prints alike: problems, plain lines, and the one JSON document of `--json`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from rich.console import Console

from ..graph.problems import Problem


def console(error: bool = False) -> Console:
    """Standard output, or the error output, as it is now; text is printed as it is, nothing in it is markup."""
    return Console(stderr=error, markup=False, highlight=False, emoji=False)


def line(text: str = "", style: str | None = None, error: bool = False) -> None:
    """One line, however long."""
    console(error).print(text, style=style, soft_wrap=True)


def document(content: dict[str, Any]) -> None:
    """The one document a program reads from standard output."""
    print(json.dumps(_finite(content), indent=2, ensure_ascii=False, allow_nan=False, default=str))


def problems(heading: str, found: Iterable[Problem], style: str = "red") -> None:
    """A heading and one line for each problem, on the error output."""
    line(heading, style=style, error=True)
    for problem in found:
        line(f"  - {problem.sentence}", error=True)


def plain(found: Iterable[Problem]) -> list[dict[str, Any]]:
    """Problems for the JSON document."""
    return [asdict(problem) for problem in found]


def counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def in_bytes(size: int) -> str:
    """A size as people write it, in powers of 1000 as file managers show it."""
    number, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if number < 1000:
            break
        number, unit = number / 1000, larger
    return f"{number:.0f} {unit}" if unit == "B" or number >= 100 else f"{number:.1f} {unit}"


def _finite(value: Any) -> Any:
    """`value` with `null` for what JSON has no number for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, list | tuple) else value
