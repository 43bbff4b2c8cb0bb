"""The workflow files the database keeps: compressed, each once, however many versions, shares and runs refer to it."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from sqlalchemy import Connection, delete, insert, select

from .contents import etag_of, parse
from .models import Content
from .schema import contents, runs, shares, versions


def pack(data: bytes) -> bytes:
    return zlib.compress(data, 6)


def unpack(data: bytes) -> bytes:
    return zlib.decompress(data)


def keep(connection: Connection, data: bytes) -> str:
    """Keep `data`; its hash, which is the etag of a file that holds it."""
    name = etag_of(data)
    if connection.scalar(select(contents.c.hash).where(contents.c.hash == name)) is None:
        connection.execute(insert(contents).values(hash=name, data=pack(data)))
    return name


def kept(connection: Connection, name: str) -> bytes:
    """What `keep` was given."""
    return unpack(connection.scalars(select(contents.c.data).where(contents.c.hash == name)).one())


def release(connection: Connection, names: Iterable[str]) -> None:
    """Drop those of `names` that nothing refers to any more."""
    for name in set(names):
        held = any(
            connection.scalar(select(table.c.hash).where(table.c.hash == name).limit(1)) is not None
            for table in (versions, shares, runs)
        )
        if not held:
            connection.execute(delete(contents).where(contents.c.hash == name))


def content_of(data: bytes) -> Content:
    """The document in `data`, upgraded where it is of an older format."""
    return dict(parse(data).document)
