"""Workflows to be seen by whoever has the link."""

from __future__ import annotations

from .models import Content, Share, Shared


class Shares:
    """By a random token."""

    def create(self, content: Content, name: str = "", picture: str | None = None) -> Share:
        """`picture` is a URL of a preview: /api/previews/<name>."""
        raise NotImplementedError

    def list(self) -> list[Share]:
        raise NotImplementedError

    def get(self, token: str) -> Shared:
        raise NotImplementedError

    def revoke(self, token: str) -> None:
        raise NotImplementedError
