"""Every run: the workflow that ran, what became of it, and what it made."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, delete, func, insert, or_, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from ...graph import atomic
from ...graph.catalog import Catalog
from ...graph.difference import difference
from ...graph.problems import quoted
from ..jobs.wire import JobDetail
from .contents import bytes_of, parse
from .database import Database
from .kept import content_of, keep, kept, pack, release, unpack
from .models import Comparison, Run, RunDetail, RunPicture, Runs
from .record import detail, preview_names, run_pictures, words
from .refusals import miss, refuse
from .schema import run_previews, run_words, runs, shares
from .sessions import Sessions

MAX_PAGE = 200
MAX_SEARCHED = 20
"""Words of a search that are looked at."""

GRACE_SECONDS = 3600.0
"""A preview as young as that may be of a run that is not recorded yet."""

INTERRUPTED = "The server ended before this run did. Run it again: what was saved on the way is still there."

_UNFINISHED = ("queued", "running")
_SHOWN = (
    runs.c.id,
    runs.c.name,
    runs.c.status,
    runs.c.file,
    runs.c.submitted,
    runs.c.started,
    runs.c.ended,
    runs.c.error,
    runs.c.pictures,
)


class History:
    """Written by the queue (it is its `Recorder`), read by the gallery. `previews` is the folder of preview pictures.

    Nothing is dropped by itself: a run stays until it is deleted.
    """

    def __init__(self, database: Database, sessions: Sessions, previews: Path, catalog: Catalog) -> None:
        self._database, self._sessions, self._previews, self._catalog = database, sessions, previews, catalog

    # ------------------------------------------------------------ what the queue tells

    def submitted(self, job: JobDetail) -> None:
        """A job was queued."""
        self._sessions.begin()
        self._record(job, {}, ())

    def ended(self, job: JobDetail, lock: Mapping[str, Any], files: Sequence[str]) -> None:
        """A job is done, failed or cancelled; `files` are what it wrote."""
        self._record(job, lock, files)

    def _record(self, job: JobDetail, lock: Mapping[str, Any], files: Sequence[str]) -> None:
        data, shown = bytes_of(job.workflow), run_pictures(job, self._previews)
        values = {
            "id": job.id,
            "name": job.name,
            "status": job.status,
            "file": job.file,
            "device": job.device,
            "submitted": job.submitted,
            "started": job.started,
            "ended": job.ended,
            "error": job.error,
            "pictures": json.dumps([picture.model_dump() for picture in shown]),
            "session": self._sessions.token,
            "detail": pack(json.dumps(detail(job, lock, files)).encode()),
        }
        found = {"run": job.id, "words": words(job, files)}
        with self._database.writing() as connection:
            values["hash"] = keep(connection, data)
            connection.execute(upsert(runs).values(values).on_conflict_do_update(index_elements=["id"], set_=values))
            connection.execute(
                upsert(run_words).values(found).on_conflict_do_update(index_elements=["run"], set_=found)
            )
            names = [{"preview": name, "run": job.id} for name in preview_names(shown)]
            connection.execute(delete(run_previews).where(run_previews.c.run == job.id))
            if names:
                connection.execute(insert(run_previews), names)

    # ------------------------------------------------------------ what the gallery asks

    def search(self, search: str = "", before: float | None = None, limit: int = 50) -> Runs:
        """Runs, newest first, submitted before the time `before`.

        With `search`, those that have all its words somewhere in a prompt or another text setting, a type or title of a
        node, their name, file, written files or error, or as their status. A page goes on past `limit` where the last
        runs were submitted at the same time, so that none is lost between two pages.
        """
        if not self._database.exists:
            return Runs(runs=[], more=False)
        wanted = _found(search)
        earlier = wanted if before is None else wanted.where(runs.c.submitted < before)
        newest = runs.c.submitted.desc(), runs.c.id
        limit = min(max(limit, 1), MAX_PAGE)
        with self._database.reading() as connection:
            rows = list(connection.execute(earlier.order_by(*newest).limit(limit + 1)).mappings())
            more = len(rows) > limit
            if more:
                last = rows[limit - 1]["submitted"]
                same = connection.execute(wanted.where(runs.c.submitted == last).order_by(*newest)).mappings()
                rows = [row for row in rows[:limit] if row["submitted"] != last] + list(same)
                more = connection.execute(wanted.where(runs.c.submitted < last).limit(1)).first() is not None
        return Runs(runs=[_run(row) for row in rows], more=more)

    def get(self, id: str) -> RunDetail:  # noqa: A002
        """All that is kept of a run. Raises `Missing`."""
        with self._database.reading() as connection:
            row = _row(connection, id)
            data = kept(connection, row["hash"])
        return RunDetail(
            run=_run(row),
            workflow=content_of(data),
            device=row["device"],
            started=row["started"],
            ended=row["ended"],
            **json.loads(unpack(row["detail"])),
        )

    def compare(self, a: str, b: str) -> Comparison:
        """Two runs, and what differs in meaning between their workflows. Raises `Missing`."""
        with self._database.reading() as connection:
            rows = [_row(connection, id_) for id_ in (a, b)]
            before, after = (parse(kept(connection, row["hash"])) for row in rows)
        return Comparison(a=_run(rows[0]), b=_run(rows[1]), difference=difference(before, after, self._catalog))

    def delete(self, id: str) -> None:  # noqa: A002
        """Forget a run that ended; files it wrote stay. Raises `Missing`, `Refused`."""
        with self._database.writing() as connection:
            row = _row(connection, id)
            if row["status"] in _UNFINISHED:
                refuse(f"The run {quoted(row['name'] or id)} is not over yet; cancel it first.")
            for table, key in ((run_previews, run_previews.c.run), (run_words, run_words.c.run), (runs, runs.c.id)):
                connection.execute(delete(table).where(key == id))
            release(connection, [row["hash"]])
        self.prune()

    # ------------------------------------------------------------ keeping order

    def end_interrupted(self) -> int:
        """Say of runs whose server ended before them that they were interrupted; how many those are."""
        unfinished = runs.c.status.in_(_UNFINISHED)
        with self._database.writing() as connection:
            sessions = connection.scalars(select(runs.c.session).where(unfinished).distinct()).all()
            over = [session for session in sessions if self._sessions.is_over(session)]
            ended = update(runs).where(unfinished, runs.c.session.in_(over))
            return connection.execute(ended.values(status="interrupted", error=INTERRUPTED)).rowcount

    def prune(self, older_than: float = GRACE_SECONDS) -> int:
        """Remove preview files that no run and no share shows; how many. Does nothing while a run is under way, as what
        that shows is recorded at its end."""
        if not self._previews.is_dir():
            return 0
        with self._database.reading() as connection:
            if connection.scalar(select(runs.c.id).where(runs.c.status.in_(_UNFINISHED)).limit(1)) is not None:
                return 0
            needed = set(connection.scalars(select(run_previews.c.preview)))
            needed.update(connection.scalars(select(shares.c.preview)))
        atomic.sweep(self._previews)
        removed = 0
        for file in self._previews.glob("*.webp"):
            with suppress(OSError):
                if file.name not in needed and file.stat().st_mtime < time.time() - older_than:
                    file.unlink()
                    removed += 1
        return removed


def _found(search: str) -> Select[*tuple[Any, ...]]:
    """Runs that have all the words of `search`."""
    wanted = select(*_SHOWN)
    asked = search.casefold().split()[:MAX_SEARCHED]
    if asked:
        wanted = wanted.join(run_words, run_words.c.run == runs.c.id)
    for word in asked:
        wanted = wanted.where(or_(runs.c.status == word, func.instr(run_words.c.words, word) > 0))
    return wanted


def _row(connection: Connection, id_: str) -> RowMapping:
    row = connection.execute(select(runs).where(runs.c.id == id_)).mappings().one_or_none()
    return row if row is not None else miss(f"There is no run {quoted(id_)}.")


def _run(row: RowMapping) -> Run:
    over = row["started"] is not None and row["ended"] is not None
    return Run(
        id=row["id"],
        name=row["name"],
        status=row["status"],
        file=row["file"],
        submitted=row["submitted"],
        seconds=row["ended"] - row["started"] if over else None,
        error=row["error"],
        pictures=[RunPicture.model_validate(picture) for picture in json.loads(row["pictures"])],
    )
