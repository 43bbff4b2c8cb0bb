"""Rows of a file: CSV with a header, JSON lines, or Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...graph.problems import Problem, Refused, listed, quoted

ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")

_SHOWN = 20
"""Broken lines named one by one."""


@dataclass(frozen=True)
class Rows:
    """`columns` by name, all equally long."""

    columns: Mapping[str, Sequence[Any]]
    count: int


def read(path: Path) -> Rows:
    """The rows in the file at `path`. Raises `Refused` with everything that is wrong with it."""
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise _refused(f"--rows {path} is no {listed(ENDINGS, 'or')} file.")
    try:
        if ending == ".parquet":
            return _parquet(path)
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = _json_lines(file) if ending in (".jsonl", ".ndjson") else _csv(file, ending)
            return _columns(path, lines)
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise _refused(f"--rows {path} cannot be read: {reason}.") from None
    except csv.Error as error:
        raise _refused(f"--rows {path} is no CSV that can be read: {error}.") from None


Line = tuple[int, dict[str, Any] | str]
"""The line's number in the file, from 1, and its values or what is wrong with it."""


def _csv(file: Any, ending: str) -> Iterator[Line]:
    reader = csv.reader(file, delimiter="\t" if ending == ".tsv" else ",", strict=True)
    names = [name.strip() for name in next(reader, [])]
    if doubled := {name for name in names if names.count(name) > 1}:
        yield 1, f"columns are named twice: {listed(sorted(doubled))}."
        return
    for cells in reader:
        if not cells:
            continue  # an empty line
        if len(cells) == len(names):
            yield reader.line_num, dict(zip(names, cells, strict=True))
        else:
            yield reader.line_num, f"it has {len(cells)} values, and the header names {len(names)} columns."


def _json_lines(file: Any) -> Iterator[Line]:
    for number, text in enumerate(file, start=1):
        if not text.strip():
            continue
        try:
            found = json.loads(text, parse_constant=_refuse)
            json.dumps(found, ensure_ascii=False).encode()  # half a character (a lone surrogate) is in no file
        except ValueError as error:
            yield number, f"it is no JSON: {error}."
            continue
        yield number, found if isinstance(found, dict) else f"{quoted(text.strip())} is no JSON object."


def _columns(path: Path, lines: Iterator[Line]) -> Rows:
    """Column by column, which takes less memory than row by row. A value that a line lacks is None."""
    columns: dict[str, list[Any]] = {}
    problems, count = [], 0
    for number, found in lines:
        if isinstance(found, str):
            problems.append(Problem(f"{path}, line {number}: {found}"))
            continue
        for name in found.keys() - columns.keys():
            columns[name] = [None] * count
        for name, cells in columns.items():
            cells.append(found.get(name))
        count += 1
    if problems:
        more = [Problem(f"{len(problems) - _SHOWN} more lines cannot be read.")] if len(problems) > _SHOWN else []
        raise Refused([*problems[:_SHOWN], *more])
    return Rows(dict(columns), count)


def _parquet(path: Path) -> Rows:
    try:
        import pyarrow as pa  # pyright: ignore[reportMissingImports]
        from pyarrow import parquet  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        raise _refused(f"--rows {path} needs pyarrow: pip install pyarrow, or give CSV or JSON lines.") from None
    try:
        found = parquet.read_table(path)
    except pa.ArrowException as error:
        raise _refused(f"--rows {path} cannot be read: {error}.") from None
    columns = {name: list(map(_plain, found.column(name).to_pylist())) for name in found.column_names}
    return Rows(columns, found.num_rows)


def _plain(value: Any) -> Any:
    """What JSON has no value for, such as a date, as text."""
    return value if value is None or isinstance(value, bool | int | float | str | list) else str(value)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number")


def _refused(sentence: str) -> Refused:
    return Refused([Problem(sentence)])
