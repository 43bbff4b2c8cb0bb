"""One folder that holds all a person works on: workflow files, pictures, models, results, and what is remembered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .drafts import Drafts
from .files import WorkflowFiles
from .history import History
from .shares import Shares
from .templates import Templates
from .uploads import Uploads
from .versions import Versions

if TYPE_CHECKING:
    from ..jobs.queue import Places


class Workspace:
    """`folder` is made at the first write. `opened` is a file elsewhere whose folder may be written too.

    `opened_path` is what the API calls that file (`opened/a.json`, or below another root that holds it).
    """

    files: WorkflowFiles
    versions: Versions
    drafts: Drafts
    shares: Shares
    templates: Templates
    uploads: Uploads
    history: History
    places: Places
    opened_path: str | None

    def __init__(self, folder: Path, opened: Path | None = None) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the database."""
        raise NotImplementedError
