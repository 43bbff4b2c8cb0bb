"""Workflow files: listed, read, and written so that nobody's work is lost.

A file is replaced only by someone who names the state it is in, under a lock that other servers of the same workspace
heed too; and every state it was in is kept as a version, also those that were written by hand.
"""

from __future__ import annotations

import builtins
import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ...graph import atomic
from ...graph.difference import canonical
from ...graph.document import MAX_BYTES
from ...graph.problems import Refused, quoted
from . import versions
from .contents import MAX_PICTURE_BYTES, bytes_of, carried, etag_of, opened, parse
from .database import Database
from .models import Content, FileEntry, OpenedFile, Saved
from .refusals import Conflict, miss, refuse
from .roots import ENDING, Place, Roots
from .versions import Versions

LOCK_SECONDS = 30.0


class WorkflowFiles:
    """The workflow files below the roots of a workspace, by `<root>/<relative>`; locks lie in the folder `locks`.

    All methods raise `Refused` for a path that leads elsewhere.
    """

    def __init__(self, roots: Roots, database: Database, locks: Path) -> None:
        self._roots, self._database, self._locks = roots, database, locks
        self._versions = Versions(database)

    def list(self) -> builtins.list[FileEntry]:
        """The JSON files there are, root by root, a folder's own before those in folders below."""
        found = []
        for place in self._roots.walk():
            try:
                modified = place.file.stat().st_mtime
            except OSError:  # gone meanwhile
                continue
            found.append(FileEntry(path=place.path, name=place.name, modified=modified, writable=place.root.writable))
        return found

    def read(self, path: str) -> OpenedFile:
        """The workflow in a file; that in a picture is no file of its own yet. Raises `Missing`, `Refused`."""
        place = self._roots.to_read(path)
        data = _bytes(place)
        if not path.endswith(ENDING):
            return self.open_bytes(data, path)
        return opened(data, path, etag_of(data), place.root.writable)

    def open_bytes(self, data: bytes, name: str = "") -> OpenedFile:
        """The workflow in a JSON file or a picture from anywhere. Raises `Refused`."""
        return opened(carried(data, name), writable=True)

    def write(self, path: str, content: Content, etag: str | None, label: str = "") -> Saved:
        """Save, with `label` on the version. `etag` is the state that is replaced, `None` makes a new file.

        A file that says the same already keeps its bytes. Raises `Conflict` when the file is in another state, and
        `Refused` for what is no workflow.
        """
        place = self._roots.to_write(path)
        return self._write(place, bytes_of(content), etag, versions.checked_label(label))

    def rename(self, path: str, to: str) -> Saved:
        """Give a file another path; its versions go with it. Raises `Missing`, and `Conflict` where `to` is taken."""
        source, target = self._roots.to_write(path), self._roots.to_write(to)
        if source.file == target.file:
            refuse(f"{quoted(path)} has that name already.")
        with self._locked(source, target):
            data = _held(source)
            taken = _state(target)
            if taken is not None and not target.file.samefile(source.file):
                raise Conflict(f"There is already a file {quoted(to)}.", etag_of(taken))
            with self._database.writing() as connection, _writing(target):
                versions.record(connection, path, data)
                versions.move(connection, path, to)
                target.file.parent.mkdir(parents=True, exist_ok=True)
                if taken is None:
                    atomic.write_new(target.file, data)
                    source.file.unlink()
                else:  # the same name in other letters, where the system takes them for one
                    source.file.rename(target.file)
        return Saved(path=to, etag=etag_of(data))

    def delete(self, path: str, etag: str | None = None) -> None:
        """Take a file away; it stays a version. With an `etag`, only in that state. Raises `Missing`, `Conflict`."""
        place = self._roots.to_write(path)
        with self._locked(place):
            data = _held(place)
            if etag is not None:
                _expect(place, data, etag)
            with self._database.writing() as connection, _writing(place):
                versions.record(connection, path, data)
                place.file.unlink()

    def version(self, id: int) -> OpenedFile:  # noqa: A002
        """Version `id`; the path is kept, and the etag is that of the file now, so that saving replaces exactly that.

        Raises `Missing`.
        """
        found, data = self._versions.get(id)
        place = self._roots.to_write(found.path)
        state = _state(place)
        return opened(data, found.path, None if state is None else etag_of(state), place.root.writable)

    def restore(self, id: int, etag: str | None) -> Saved:  # noqa: A002
        """Save version `id` again, over the state `etag`; `None` where the file is gone.

        Raises `Missing`, `Conflict`.
        """
        found, data = self._versions.get(id)
        return self._write(self._roots.to_write(found.path), data, etag, "")

    def _write(self, place: Place, data: bytes, etag: str | None, label: str) -> Saved:
        with self._locked(place):
            state = _state(place)
            _expect(place, state, etag)
            if state is not None and _says_the_same(state, data):
                data = state
            with self._database.writing() as connection, _writing(place):
                if state is not None:
                    versions.record(connection, place.path, state)  # where somebody wrote it by hand
                versions.record(connection, place.path, data, label)
                place.file.parent.mkdir(parents=True, exist_ok=True)
                if state is None:
                    atomic.write_new(place.file, data)
                elif data != state:
                    atomic.write(place.file, data)
        return Saved(path=place.path, etag=etag_of(data))

    @contextmanager
    def _locked(self, *places: Place) -> Iterator[None]:
        """Nobody else writes these meanwhile, in this process or another."""
        # Small letters, as some systems take both for one name.
        paths = {str(place.file.resolve()).casefold() for place in places}
        names = sorted(hashlib.sha256(path.encode()).hexdigest()[:32] for path in paths)
        with ExitStack() as stack:
            try:
                self._locks.mkdir(parents=True, exist_ok=True)
                for name in names:  # always in the same order, or two renames wait for each other
                    stack.enter_context(FileLock(self._locks / f"{name}.lock", timeout=LOCK_SECONDS))
            except Timeout:
                shown = quoted(places[0].path)
                refuse(f"{shown} has been in use by another server for {LOCK_SECONDS:.0f} s; try again.")
            except OSError as error:
                refuse(f"{self._locks} cannot be used: {error.strerror or error}.")
            yield


def _bytes(place: Place) -> bytes:
    limit = MAX_BYTES if place.path.endswith(ENDING) else MAX_PICTURE_BYTES
    try:
        with place.file.open("rb") as file:
            return file.read(limit + 1)
    except FileNotFoundError:
        miss(f"There is no file {quoted(place.path)}.")
    except OSError as error:
        refuse(f"{quoted(place.path)} cannot be read: {error.strerror}.")


def _state(place: Place) -> bytes | None:
    """What the file holds; `None` where there is none."""
    return _bytes(place) if place.file.exists() else None


def _held(place: Place) -> bytes:
    """What the file holds. Raises `Missing`."""
    data = _state(place)
    return data if data is not None else miss(f"There is no file {quoted(place.path)}.")


def _expect(place: Place, state: bytes | None, etag: str | None) -> None:
    found = None if state is None else etag_of(state)
    if found == etag:
        return
    shown = quoted(place.path)
    if found is None:
        raise Conflict(f"{shown} was deleted or renamed since it was opened here. Save it as a new file.", None)
    if etag is None:
        raise Conflict(f"There is already a file {shown}. Save under another name, or open it first.", found)
    raise Conflict(f"{shown} was changed elsewhere since it was opened here. Open it again, or save a copy.", found)


def _says_the_same(state: bytes, data: bytes) -> bool:
    """Whether saving would change nothing but how the file is written: order of keys, spaces, 2.0 for 2."""
    if state == data:
        return True
    try:
        found, wanted = parse(state), parse(data)
    except Refused:
        return False
    return not found.changes and canonical(found.document) == canonical(wanted.document)


@contextmanager
def _writing(place: Place) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise Conflict(f"There is already a file {quoted(place.path)}.", etag_of(_bytes(place))) from None
    except OSError as error:
        refuse(f"{quoted(place.path)} cannot be written: {error.strerror or error}.")
