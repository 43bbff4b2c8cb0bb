"""Every saved state of a workflow file.

How many are kept: those with a label and the newest 50 always; of older ones the last of each day, for a year.
"""

from __future__ import annotations

import builtins
import time
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from ...graph.problems import Refused, quoted
from .contents import parse
from .database import Database
from .kept import keep, kept, release
from .models import Version
from .refusals import miss, refuse
from .schema import versions

ALWAYS = 50
DAYS = 365
MAX_LABEL = 200


class Versions:
    """Reading and restoring one goes through `WorkflowFiles.version` and `.restore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self, path: str) -> builtins.list[Version]:
        """Newest first, also of a file that was deleted."""
        wanted = select(versions).where(versions.c.path == path).order_by(versions.c.id.desc())
        with self._database.reading() as connection:
            return [_version(row) for row in connection.execute(wanted)]

    def get(self, id: int) -> tuple[Version, bytes]:  # noqa: A002
        """Version `id` and the bytes the file had. Raises `Missing`."""
        if not 0 < id < 1 << 63:  # more than the database counts to
            miss(f"There is no version {id}.")
        with self._database.reading() as connection:
            row = connection.execute(select(versions).where(versions.c.id == id)).one_or_none()
            if row is None:
                miss(f"There is no version {id}.")
            return _version(row), kept(connection, row.hash)

    def label(self, id: int, label: str) -> Version:  # noqa: A002
        """Give version `id` a label, which keeps it for ever, or take it away with an empty one. Raises `Refused`."""
        label = checked_label(label)
        self.get(id)
        with self._database.writing() as connection:
            connection.execute(update(versions).where(versions.c.id == id).values(label=label))
        return self.get(id)[0]


def checked_label(label: str) -> str:
    """`label` without space around it. Raises `Refused`."""
    label = label.strip()
    if len(label) > MAX_LABEL or not label.isprintable():
        refuse(f"{quoted(label)} is no label: one line of at most {MAX_LABEL} characters is.")
    return label


def record(connection: Connection, path: str, data: bytes, label: str = "") -> None:
    """Keep `data` as the newest version of `path`, unless it is that already."""
    name = keep(connection, data)
    newest = connection.execute(
        select(versions.c.id, versions.c.hash).where(versions.c.path == path).order_by(versions.c.id.desc()).limit(1)
    ).one_or_none()
    if newest is None or newest.hash != name:
        values = {"path": path, "hash": name, "saved": time.time(), "nodes": _nodes(data), "label": label}
        connection.execute(insert(versions).values(values))
        _thin(connection, path, time.time())
    elif label:
        connection.execute(update(versions).where(versions.c.id == newest.id).values(label=label))


def move(connection: Connection, path: str, to: str) -> None:
    """The versions of a file that was renamed."""
    connection.execute(update(versions).where(versions.c.path == path).values(path=to))


def _thin(connection: Connection, path: str, now: float) -> None:
    """Drop what is neither labelled, nor among the newest, nor the last of a day of the last year."""
    unlabelled = (
        select(versions.c.id, versions.c.saved, versions.c.hash)
        .where(versions.c.path == path, versions.c.label == "")
        .order_by(versions.c.id.desc())
        .offset(ALWAYS)
    )
    days: set[int] = set()
    dropped: list[tuple[int, str]] = []
    for row in connection.execute(unlabelled):
        day = int(row.saved // 86_400)
        if day in days or row.saved < now - DAYS * 86_400:
            dropped.append((row.id, row.hash))
        days.add(day)
    for id_, _ in dropped:
        connection.execute(delete(versions).where(versions.c.id == id_))
    release(connection, (name for _, name in dropped))


def _nodes(data: bytes) -> int:
    """How many nodes there are; 0 for what is no workflow, as a file written by hand may be for a while."""
    try:
        return len(parse(data).nodes)
    except Refused:
        return 0


def _version(row: Row[*tuple[Any, ...]]) -> Version:
    return Version(id=row.id, path=row.path, saved=row.saved, nodes=row.nodes, label=row.label)
