"""Work that was not saved yet."""

from __future__ import annotations

from .models import Content, Draft, DraftEntry


class Drafts:
    """By id, which the page makes: 8 to 64 letters, digits, `-` and `_`."""

    def list(self) -> list[DraftEntry]:
        raise NotImplementedError

    def get(self, id: str) -> Draft:  # noqa: A002
        raise NotImplementedError

    def put(self, id: str, content: Content, path: str | None = None, etag: str | None = None) -> DraftEntry:  # noqa: A002
        raise NotImplementedError

    def delete(self, id: str) -> None:  # noqa: A002
        raise NotImplementedError
