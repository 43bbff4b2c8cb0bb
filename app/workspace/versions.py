"""Every saved state of a workflow file."""

from __future__ import annotations

from .models import Version


class Versions:
    """Newest first. Reading and restoring one goes through `WorkflowFiles.version` and `.restore`."""

    def list(self, path: str) -> list[Version]:
        raise NotImplementedError

    def label(self, id: int, label: str) -> Version:  # noqa: A002
        raise NotImplementedError
