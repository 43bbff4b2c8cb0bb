"""Who keeps what was run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from .wire import JobDetail


class Recorder(Protocol):
    """Called one call at a time in a thread of its own, so it may take its time; what it raises is logged.

    `lock` holds the versions of the libraries and the fingerprints of the models, as in a workflow file; `files` what
    was written, as POSIX paths below the output folder.
    """

    def submitted(self, job: JobDetail) -> None: ...

    def ended(self, job: JobDetail, lock: Mapping[str, Any], files: Sequence[str]) -> None: ...
