"""The results table: a line a row in JSON, and the same as Parquet where pyarrow is there."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from ...graph import atomic

_ROWS_A_GROUP = 10_000


class Results:
    """`results.jsonl`, begun with the `lines` there are, to which others are added as rows end."""

    def __init__(self, path: Path, lines: Iterable[str]) -> None:
        self.path = path
        with atomic.replacing(path) as part, part.open("x", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
        self._file: IO[str] = path.open("a", encoding="utf-8")

    def add(self, lines: Iterable[str]) -> None:
        """The journal keeps them for good: a line lost in a power cut is there again when the batch is resumed."""
        self._file.writelines(f"{line}\n" for line in lines)
        self._file.flush()

    def close(self) -> None:
        os.fsync(self._file.fileno())
        self._file.close()


def write_parquet(path: Path, lines: Iterable[str]) -> bool:
    """The table as Parquet; whether pyarrow was there to write it. Columns that differ from row to row are JSON."""
    if importlib.util.find_spec("pyarrow") is None:
        return False
    import pyarrow as pa  # pyright: ignore[reportMissingImports]
    from pyarrow import parquet  # pyright: ignore[reportMissingImports]

    schema = pa.schema(
        {
            "row": pa.int64(),
            "status": pa.string(),
            "settings": pa.string(),
            "seeds": pa.string(),
            "files": pa.list_(pa.string()),
            "seconds": pa.float64(),
            "network_calls": pa.int64(),
            "scores": pa.string(),
            "error": pa.string(),
            "tries": pa.int64(),
            "ended": pa.float64(),
        }
    )
    with atomic.replacing(path) as part, parquet.ParquetWriter(part, schema) as writer:
        rows = map(_flat, map(json.loads, lines))
        while group := list(itertools.islice(rows, _ROWS_A_GROUP)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
    return True


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    return {name: json.dumps(value) if isinstance(value, dict) else value for name, value in row.items()}
