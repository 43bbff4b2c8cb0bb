"""The tables of the workspace's database, and how those of earlier versions become these."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Column, Float, Integer, LargeBinary, MetaData, Table, Text

Upgrade = Sequence[str]
"""SQL statements that take a database of one version to the next."""

UPGRADES: tuple[Upgrade, ...] = (
    (
        "CREATE TABLE contents (hash TEXT PRIMARY KEY, data BLOB NOT NULL)",
        """CREATE TABLE versions (
            id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL, hash TEXT NOT NULL, saved FLOAT NOT NULL,
            nodes INTEGER NOT NULL, label TEXT NOT NULL)""",
        "CREATE INDEX versions_of_path ON versions (path, id)",
        "CREATE INDEX versions_of_hash ON versions (hash)",
        """CREATE TABLE drafts (
            id TEXT PRIMARY KEY, saved FLOAT NOT NULL, path TEXT, etag TEXT, name TEXT NOT NULL,
            nodes INTEGER NOT NULL, data BLOB NOT NULL)""",
        """CREATE TABLE shares (
            token TEXT PRIMARY KEY, name TEXT NOT NULL, shared FLOAT NOT NULL, preview TEXT, hash TEXT NOT NULL)""",
        "CREATE INDEX shares_of_hash ON shares (hash)",
        """CREATE TABLE runs (
            id TEXT PRIMARY KEY, name TEXT NOT NULL, status TEXT NOT NULL, file TEXT, device TEXT NOT NULL,
            submitted FLOAT NOT NULL, started FLOAT, ended FLOAT, error TEXT NOT NULL, pictures TEXT NOT NULL,
            session TEXT NOT NULL, hash TEXT NOT NULL, detail BLOB NOT NULL)""",
        "CREATE INDEX runs_by_time ON runs (submitted)",
        "CREATE INDEX runs_of_hash ON runs (hash)",
        "CREATE TABLE run_words (run TEXT PRIMARY KEY, words TEXT NOT NULL)",
        "CREATE TABLE run_previews (preview TEXT NOT NULL, run TEXT NOT NULL, PRIMARY KEY (preview, run))",
        "CREATE INDEX previews_of_run ON run_previews (run)",
    ),
)
"""Upgrade `i` takes version `i` to `i + 1`; 0 is an empty file. The list only ever grows."""

VERSION = len(UPGRADES)

tables = MetaData()


def _text(name: str, key: bool = False, optional: bool = False) -> Column[str]:
    return Column(name, Text, primary_key=key, nullable=optional)


def _time(name: str, optional: bool = False) -> Column[float]:
    return Column(name, Float, nullable=optional)


def _count(name: str, key: bool = False) -> Column[int]:
    return Column(name, Integer, primary_key=key, nullable=False)


def _bytes(name: str) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False)


contents = Table("contents", tables, _text("hash", key=True), _bytes("data"))
"""Bytes of workflow files, compressed, by the SHA-256 of what they are uncompressed."""

versions = Table(
    "versions",
    tables,
    _count("id", key=True),
    _text("path"),
    _text("hash"),
    _time("saved"),
    _count("nodes"),
    _text("label"),
)

drafts = Table(
    "drafts",
    tables,
    _text("id", key=True),
    _time("saved"),
    _text("path", optional=True),
    _text("etag", optional=True),
    _text("name"),
    _count("nodes"),
    _bytes("data"),
)

shares = Table(
    "shares",
    tables,
    _text("token", key=True),
    _text("name"),
    _time("shared"),
    _text("preview", optional=True),
    _text("hash"),
)

runs = Table(
    "runs",
    tables,
    _text("id", key=True),
    _text("name"),
    _text("status"),
    _text("file", optional=True),
    _text("device"),
    _time("submitted"),
    _time("started", optional=True),
    _time("ended", optional=True),
    _text("error"),
    _text("pictures"),
    _text("session"),
    _text("hash"),
    _bytes("detail"),
)
"""`pictures` is JSON; `detail` compressed JSON of what is only looked at run by run; `session` the server's."""

run_words = Table("run_words", tables, _text("run", key=True), _text("words"))
"""What a search looks through, in small letters."""

run_previews = Table("run_previews", tables, _text("preview", key=True), _text("run", key=True))
"""Which preview files a run shows."""
