"""What of a batch has ended, in SQLite: what was said to be done outlives a power cut, and nothing is done twice."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from sqlalchemy import Column, Integer, MetaData, Table, Text, select
from sqlalchemy.dialects.sqlite import insert

from ..workspace.database import Database
from ..workspace.schema import Upgrade
from .entry import Entry
from .plan import digest

UPGRADES: tuple[Upgrade, ...] = (
    (
        """CREATE TABLE rows (
            number INTEGER PRIMARY KEY, status TEXT NOT NULL, digest TEXT NOT NULL, entry TEXT NOT NULL)""",
        "CREATE TABLE deaths (number INTEGER PRIMARY KEY, times INTEGER NOT NULL)",
        "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    ),
)
"""Upgrade `i` takes version `i` to `i + 1`; 0 is an empty file. The list only ever grows."""

_tables = MetaData()
_rows = Table(
    "rows",
    _tables,
    Column("number", Integer, primary_key=True),
    Column("status", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("entry", Text, nullable=False),
)
_deaths = Table("deaths", _tables, Column("number", Integer, primary_key=True), Column("times", Integer))
_facts = Table("facts", _tables, Column("name", Text, primary_key=True), Column("value", Text, nullable=False))


class Journal:
    """Rows that ended, by number; `deaths` counts the workers that died of a row. Raises `Refused` as `Database`."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, UPGRADES)

    @property
    def exists(self) -> bool:
        return self._database.exists

    @property
    def notices(self) -> Sequence[str]:
        """Sentences about a journal that was damaged."""
        return self._database.notices

    def open(self) -> None:
        self._database.open()

    def close(self) -> None:
        self._database.close()

    def record(self, entries: Iterable[Entry]) -> None:
        """All of them, or none; on the disk when this returns. A row recorded before is replaced."""
        values = [
            {
                "number": entry.row,
                "status": entry.status,
                "digest": digest(entry.settings),
                "entry": line(entry),
            }
            for entry in entries
        ]
        if values:
            with self._database.writing() as connection:
                connection.execute(insert(_rows).prefix_with("OR REPLACE"), values)

    def ended(self) -> Iterator[tuple[int, str, str]]:
        """Number, status and digest of each row that ended, in order."""
        with self._database.reading() as connection:
            found = connection.execute(select(_rows.c.number, _rows.c.status, _rows.c.digest).order_by(_rows.c.number))
            yield from (tuple(row) for row in found.yield_per(10_000))  # type: ignore[misc]

    def lines(self) -> Iterator[str]:
        """The results table, row by row in order."""
        with self._database.reading() as connection:
            found = connection.execute(select(_rows.c.entry).order_by(_rows.c.number))
            yield from (row[0] for row in found.yield_per(1_000))

    def died(self, number: int) -> int:
        """A worker died of row `number`; how many have by now."""
        with self._database.writing() as connection:
            times = connection.execute(select(_deaths.c.times).where(_deaths.c.number == number)).scalar() or 0
            connection.execute(insert(_deaths).prefix_with("OR REPLACE"), [{"number": number, "times": times + 1}])
        return times + 1

    @property
    def facts(self) -> Mapping[str, str]:
        """What the batch was begun with."""
        with self._database.reading() as connection:
            return {row.name: row.value for row in connection.execute(select(_facts))}

    def begin(self, facts: Mapping[str, str]) -> None:
        """Write down what the batch is begun with."""
        values = [{"name": name, "value": value} for name, value in facts.items()]
        with self._database.writing() as connection:
            connection.execute(insert(_facts).prefix_with("OR REPLACE"), values)


def line(entry: Entry) -> str:
    """A line of the results table."""
    return json.dumps(asdict(entry), ensure_ascii=False)
