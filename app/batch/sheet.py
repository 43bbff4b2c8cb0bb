"""The contact sheet: one HTML page that needs nothing else, with the pictures of a batch to sort and to filter."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ...graph import atomic

ROWS_A_PAGE = 20_000
"""More than a browser sorts at once without a pause; the rest stands on further pages."""

_TEMPLATE = Path(__file__).with_name("sheet.html")


def write(path: Path, name: str, lines: Iterable[str], count: int) -> None:
    """Write the sheet of `count` rows, the lines of the results table, to `path` and pages beside it."""
    pages = max(1, -(-count // ROWS_A_PAGE))
    rows = map(json.loads, lines)
    template = _TEMPLATE.read_text(encoding="utf-8")
    names = [path if page == 0 else path.with_stem(f"{path.stem}-{page + 1}") for page in range(pages)]
    links = [[str(page + 1), quote(place.name)] for page, place in enumerate(names)] if pages > 1 else []
    for place in names:
        data = _data(name, list(itertools.islice(rows, ROWS_A_PAGE)), links)
        # In a script element nothing but its end mark, and what begins a comment, would be read as HTML.
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
        atomic.write(place, template.replace("/*DATA*/", text).encode())


def _data(name: str, rows: list[dict[str, Any]], pages: list[list[str]]) -> dict[str, Any]:
    settings = list(dict.fromkeys(key for row in rows for key in row["settings"]))
    scores = list(dict.fromkeys(key for row in rows for key in row["scores"]))
    return {
        "name": name,
        "pages": pages,
        "settings": settings,
        "scores": scores,
        "rows": [
            [
                row["row"],
                row["status"],
                row["seconds"],
                row["network_calls"],
                [quote(file) for file in row["files"]],
                row["error"],
                [row["settings"].get(key) for key in settings],
                [row["scores"].get(key) for key in scores],
            ]
            for row in rows
        ],
    }
