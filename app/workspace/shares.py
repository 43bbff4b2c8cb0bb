"""Workflows to be seen, and not changed, by whoever has the link."""

from __future__ import annotations

import builtins
import re
import secrets
import time

from sqlalchemy import delete, insert, select

from ...graph.problems import quoted
from .contents import bytes_of
from .database import Database
from .kept import content_of, keep, kept, release
from .models import Content, Share, Shared
from .refusals import miss, refuse
from .schema import shares

PREVIEWS = "/api/previews/"
"""Where the server shows previews."""

TOKEN_BYTES = 24

_PREVIEW = re.compile(r"[0-9A-Za-z_-]+\.webp")


class Shares:
    """By a random token that cannot be guessed. A share shows what was given to it, whatever becomes of that later."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, content: Content, name: str = "", picture: str | None = None) -> Share:
        """`picture` is the URL of a preview, which stays as long as the share. Raises `Refused`."""
        data = bytes_of(content)
        preview = None if picture is None else preview_of(picture)
        if picture is not None and preview is None:
            refuse(f"{quoted(picture)} is no picture that can be shared: one below {PREVIEWS} is.")
        share = Share(token=secrets.token_urlsafe(TOKEN_BYTES), name=name[:200], shared=time.time())
        with self._database.writing() as connection:
            values = {**share.model_dump(), "preview": preview, "hash": keep(connection, data)}
            connection.execute(insert(shares).values(values))
        return share

    def list(self) -> builtins.list[Share]:
        """Newest first."""
        if not self._database.exists:
            return []
        wanted = select(shares.c.token, shares.c.name, shares.c.shared).order_by(shares.c.shared.desc())
        with self._database.reading() as connection:
            return [Share.model_validate(row) for row in connection.execute(wanted).mappings()]

    def get(self, token: str) -> Shared:
        """Raises `Missing`, also for one that was revoked."""
        with self._database.reading() as connection:
            row = connection.execute(select(shares).where(shares.c.token == token)).one_or_none()
            data = kept(connection, row.hash) if row else b""
        if row is None:
            miss("Nothing is shared under this link: it was revoked, or was not copied whole.")
        picture = f"{PREVIEWS}{row.preview}" if row.preview else None
        return Shared(content=content_of(data), picture=picture, name=row.name, shared=row.shared)

    def revoke(self, token: str) -> None:
        """Raises `Missing`."""
        with self._database.writing() as connection:
            row = connection.execute(select(shares.c.hash).where(shares.c.token == token)).one_or_none()
            if row is None:
                miss("Nothing is shared under this link.")
            connection.execute(delete(shares).where(shares.c.token == token))
            release(connection, [row.hash])


def preview_of(url: str) -> str | None:
    """The name of the preview file a URL shows; `None` for another URL."""
    name = url.removeprefix(PREVIEWS)
    return name if name != url and _PREVIEW.fullmatch(name) else None
