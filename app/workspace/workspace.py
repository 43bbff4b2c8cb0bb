"""One folder that holds all a person works on: workflow files, pictures, models, results, and what is remembered."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from ...graph.catalog import Catalog
from ...nodes.catalog import NODES
from ..folders import SHIPPED, model_folders
from ..jobs.places import Places
from .database import Database
from .drafts import Drafts
from .files import WorkflowFiles
from .history import History
from .roots import Root, Roots
from .sessions import Sessions
from .shares import Shares
from .templates import SHIPPED_ROOT, Templates
from .uploads import Uploads
from .versions import Versions

MEMORY = ".latentloom"
"""The folder of what is remembered and may be shown again: database, previews, locks."""

_NO_WORKFLOWS = frozenset({"input", "models", "pictures"})
"""What lies beside the workflows that ship."""


class Workspace:
    """`folder` is made at the first write. `opened` is a file elsewhere, whose folder may then be written too.

    `opened_path` is what the API calls that file: `opened/a.json`, or the path below another root that holds it.
    `notices` are sentences the person who starts the server should read. Raises `Refused` where a newer version of
    latentloom wrote the database. Everything here may be used from any thread.
    """

    def __init__(self, folder: Path, opened: Path | None = None) -> None:
        self.folder = folder.expanduser().absolute()
        memory = self.folder / MEMORY
        self._opened = None if opened is None else opened.expanduser().absolute()
        self._database = Database(memory / "history.sqlite")
        self._sessions = Sessions(memory / "sessions")
        own = Root("workflows", self.folder / "workflows")
        shipped = Root(SHIPPED_ROOT, SHIPPED, writable=False, depth=1, without=_NO_WORKFLOWS)
        roots = Roots([own, shipped])
        if self._opened is not None and roots.path_of(self._opened) is None:
            roots = Roots([own, shipped, Root("opened", self._opened.parent, depth=1)])
        self.opened_path = None if self._opened is None else roots.path_of(self._opened)
        self.files = WorkflowFiles(roots, self._database, memory / "locks")
        self.versions = Versions(self._database)
        self.drafts = Drafts(self._database)
        self.shares = Shares(self._database)
        self.templates = Templates(roots, SHIPPED)
        chosen = self.folder / "input"
        beside = [] if self._opened is None else [self._opened.parent]
        self.uploads = Uploads(self.places.reading, chosen, flat=beside)
        self.history = History(self._database, self._sessions, self.places.previews, Catalog(NODES, "latentloom.nodes"))
        if self._database.exists:
            self._database.open()
            self.history.end_interrupted()
            self.history.prune()

    @property
    def notices(self) -> tuple[str, ...]:
        return tuple(self._database.notices)

    @cached_property
    def places(self) -> Places:
        """Where runs read and write."""
        own = self.folder / "input"
        beside = [] if self._opened is None else [self._opened.parent / "input", self._opened.parent]
        reading = {
            "input": tuple(dict.fromkeys([own, *beside, SHIPPED / "input"])),
            "models": model_folders([self.folder / "models"]),
        }
        return Places(reading, self.folder / "output", self.folder / MEMORY / "previews")

    def close(self) -> None:
        """Let go of the database; runs not over now count as interrupted when the workspace is opened next."""
        self._sessions.end()
        self._database.close()
