"""A memory in one SQLite file, used by many threads and by several processes at once: the workspace's, and batches'."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from filelock import FileLock
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, DBAPIError

from ...graph.problems import quoted
from .refusals import refuse
from .schema import UPGRADES, Upgrade

BUSY_SECONDS = 30.0
"""How long a writer waits for another one."""

_ASIDE = ("", "-wal", "-shm")

log = logging.getLogger(__name__)


class Database:
    """Made at its first use. `notices` are sentences the person who started the server should read.

    Raises `Refused` where the file cannot be used, and where a newer version of latentloom wrote it. A damaged file is
    never deleted: it is set aside under a new name, and an empty one takes its place.
    """

    def __init__(self, path: Path, upgrades: Sequence[Upgrade] | None = None) -> None:
        self.path, self._upgrades = path, UPGRADES if upgrades is None else upgrades
        self.notices: list[str] = []
        self._opening = threading.Lock()
        self._engine: Engine | None = None

    @property
    def exists(self) -> bool:
        return self.path.exists()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the database, whatever others write meanwhile."""
        with self._said(), self._opened().connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction: kept whole when the block ends, and not at all when it fails. One at a time."""
        with self._said(), self._opened().execution_options(writes=True).begin() as connection:
            yield connection

    def open(self) -> None:
        """Open it now, making it where it is not there."""
        self._opened()

    def close(self) -> None:
        """Let go of the file; it is opened again when it is used again."""
        with self._opening:
            if self._engine is not None:
                self._engine.dispose()
                self._engine = None

    def _opened(self) -> Engine:
        with self._opening:
            if self._engine is None:
                with self._said():
                    self.path.parent.mkdir(parents=True, exist_ok=True)
                    # No other server may set aside, or upgrade, what this one is about to.
                    with FileLock(self.path.with_suffix(".lock"), timeout=BUSY_SECONDS):
                        self._engine = self._sound_engine()
            return self._engine

    def _sound_engine(self) -> Engine:
        engine = _engine(self.path)
        try:
            with engine.connect() as connection:
                verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        except DatabaseError as error:
            if not _is_damage(error):
                engine.dispose()
                raise
            verdict = str(error.orig)
        if verdict != "ok":
            engine.dispose()
            self._set_aside(str(verdict))
            engine = _engine(self.path)
        _upgrade(engine, self.path, self._upgrades)
        return engine

    def _set_aside(self, reason: str) -> None:
        stem = f"{self.path.stem}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
        candidates = (self.path.with_stem(f"{stem}-{number}") for number in count(1))
        new = next(candidate for candidate in candidates if not candidate.exists())
        for ending in _ASIDE:
            part = self.path.with_name(self.path.name + ending)
            if part.exists():
                part.rename(new.with_name(new.name + ending))
        sentence = (
            f"{self.path} is damaged ({reason}). It was set aside as {new.name}, and history, versions, drafts and "
            "shares begin anew. Workflow files and pictures are not affected."
        )
        log.warning(sentence)
        self.notices.append(sentence)

    @contextmanager
    def _said(self) -> Iterator[None]:
        """Faults of the file as sentences."""
        try:
            yield
        except DBAPIError as error:
            refuse(f"{self.path} cannot be used: {error.orig}.")
        except OSError as error:
            refuse(f"{quoted(str(self.path.parent))} cannot be used: {error.strerror or error}.")


def _engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin where SQLAlchemy says, not where the driver guesses
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")  # what was said to be kept outlives a power cut

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that begins by reading and then writes fails where another one wrote in between.
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _upgrade(engine: Engine, path: Path, upgrades: Sequence[Upgrade]) -> None:
    with engine.execution_options(writes=True).begin() as connection:
        version = connection.exec_driver_sql("PRAGMA user_version").scalar() or 0
        if version > len(upgrades):
            engine.dispose()
            refuse(
                f"{path} was written by a newer version of latentloom (its format is {version}; this version reads up "
                f"to {len(upgrades)}). Upgrade latentloom, or name another folder with --workspace."
            )
        for statements in upgrades[version:]:
            for statement in statements:
                connection.exec_driver_sql(statement)
        if version < len(upgrades):
            connection.exec_driver_sql(f"PRAGMA user_version = {len(upgrades)}")


def _is_damage(error: DatabaseError) -> bool:
    said = str(error.orig)
    return "malformed" in said or "not a database" in said
