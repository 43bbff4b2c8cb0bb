"""Work that was not saved yet, as the page left it."""

from __future__ import annotations

import builtins
import re
import time

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.sqlite import insert

from ...graph import document
from ...graph.document import MAX_BYTES, WorkflowError
from ...graph.problems import Refused, quoted
from .contents import parse
from .database import Database
from .kept import pack, unpack
from .models import Content, Draft, DraftEntry
from .refusals import miss, refuse
from .schema import drafts

MAX_DRAFTS = 500

_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_ENTRY = (drafts.c.id, drafts.c.saved, drafts.c.path, drafts.c.etag, drafts.c.name, drafts.c.nodes)


class Drafts:
    """By id, which the page makes at random: 8 to 64 letters, digits, `-` and `_`.

    A draft may be of a workflow that is not well formed. None is ever dropped by itself: past `MAX_DRAFTS`, a new one
    is refused.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self) -> builtins.list[DraftEntry]:
        """Newest first."""
        if not self._database.exists:
            return []
        with self._database.reading() as connection:
            rows = connection.execute(select(*_ENTRY).order_by(drafts.c.saved.desc())).mappings()
            return [DraftEntry.model_validate(row) for row in rows]

    def get(self, id: str) -> Draft:  # noqa: A002
        """Raises `Missing`."""
        with self._database.reading() as connection:
            row = connection.execute(select(drafts).where(drafts.c.id == _checked(id))).one_or_none()
        if row is None:
            miss(f"There is no draft {quoted(id)}.")
        return Draft(id=row.id, saved=row.saved, path=row.path, etag=row.etag, content=_content(unpack(row.data)))

    def put(self, id: str, content: Content, path: str | None = None, etag: str | None = None) -> DraftEntry:  # noqa: A002
        """Keep the state of a page, in the place of what was kept under `id`. Raises `Refused`."""
        if problems := builtins.list(document.faults(content)):
            raise WorkflowError(problems)
        data = document.dump(content).encode()
        if len(data) > MAX_BYTES:
            refuse(f"The draft has {len(data) / 1e6:.0f} MB; at most {MAX_BYTES >> 20} MB are kept.")
        name, nodes = content.get("name"), content.get("nodes")
        entry = DraftEntry(
            id=_checked(id),
            saved=time.time(),
            path=path,
            etag=etag,
            name=name if isinstance(name, str) else "",
            nodes=len(nodes) if isinstance(nodes, dict) else 0,
        )
        values = {**entry.model_dump(), "data": pack(data)}
        with self._database.writing() as connection:
            known = connection.scalar(select(drafts.c.id).where(drafts.c.id == id))
            count = connection.scalar(select(func.count()).select_from(drafts)) or 0
            if known is None and count >= MAX_DRAFTS:
                refuse(f"There are {count} drafts, and no more are kept. Save or delete some of them.")
            connection.execute(insert(drafts).values(values).on_conflict_do_update(index_elements=["id"], set_=values))
        return entry

    def delete(self, id: str) -> None:  # noqa: A002
        """Raises `Missing`."""
        with self._database.writing() as connection:
            if not connection.execute(delete(drafts).where(drafts.c.id == _checked(id))).rowcount:
                miss(f"There is no draft {quoted(id)}.")


def _checked(id_: str) -> str:
    if not _ID.fullmatch(id_):
        refuse(f"{quoted(id_)} names no draft: 8 to 64 letters, digits, - and _ do.")
    return id_


def _content(data: bytes) -> Content:
    """Upgraded, where a later version of latentloom reads it; as it was left, where it is not well formed."""
    try:
        return dict(parse(data).document)
    except Refused:
        return document.load(data)
