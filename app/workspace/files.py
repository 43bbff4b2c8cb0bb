"""Workflow files: listed, read, and written so that nobody's work is lost."""

from __future__ import annotations

from .models import Content, FileEntry, OpenedFile, Saved


class WorkflowFiles:
    """The workflow files below the roots of a workspace. Paths are `<root>/<relative>`."""

    def list(self) -> list[FileEntry]:
        raise NotImplementedError

    def read(self, path: str) -> OpenedFile:
        raise NotImplementedError

    def open_bytes(self, data: bytes, name: str = "") -> OpenedFile:
        raise NotImplementedError

    def write(self, path: str, content: Content, etag: str | None, label: str = "") -> Saved:
        """`etag` is the state to replace, `None` creates a new file. Raises `Conflict`."""
        raise NotImplementedError

    def rename(self, path: str, to: str) -> Saved:
        raise NotImplementedError

    def delete(self, path: str) -> None:
        raise NotImplementedError

    def version(self, id: int) -> OpenedFile:  # noqa: A002
        """Version `id`; the path is kept, the etag is that of the file now."""
        raise NotImplementedError

    def restore(self, id: int, etag: str | None) -> Saved:  # noqa: A002
        """Save version `id` again, over the state `etag` (`None`: the file is gone)."""
        raise NotImplementedError
