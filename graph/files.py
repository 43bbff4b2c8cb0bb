"""Which files a workflow may read and write: named folders, and nothing beside them.

A workflow comes from strangers. A path in it is relative, stays inside one of the folders opened for its kind, and
is checked again after links are followed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from .problems import quoted


class FileRefused(ValueError):  # noqa: N818 - the sentence is what matters
    """A path is outside what may be read or written, or is not there. The message is a sentence for the user."""


class FileMissing(FileRefused):
    """A path might be read, but nothing is there."""


@dataclass(frozen=True)
class Reads:
    """Marks a setting as the path of something to read. `kind` names the folders it is looked up in.

    `elsewhere` allows a value that names nothing there (a hub id): it is then left to the node.
    """

    kind: str = "input"
    elsewhere: bool = False


@dataclass(frozen=True)
class Writes:
    """Marks a setting as a path, relative to the output folder, to write."""


@dataclass(frozen=True)
class Files:
    """The folders of a run: `reading` by kind (searched in order), `writing` for results."""

    reading: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    writing: Path = Path("out")

    def find(self, path: str, kind: str = "input") -> Path:
        """The file or folder `path` names in a folder opened for `kind`. Raises `FileRefused`."""
        relative = _relative(path)
        roots = self.reading.get(kind, ())
        for root in roots:
            found = root / relative
            try:
                if not found.exists():
                    continue
                inside = found.resolve().is_relative_to(root.resolve())
            except OSError as error:
                raise FileRefused(f"{quoted(path)} in {root} cannot be read: {error.strerror}.") from None
            if not inside:
                raise FileRefused(f"{quoted(path)} leads out of {root}, the folder it may be read from, by a link.")
            return found
        looked = ", ".join(str(root) for root in roots) or "no folder at all"
        raise FileMissing(f"There is no {quoted(path)}; looked in {looked}.")

    def place(self, path: str) -> Path:
        """Where `path` would be written, inside the output folder; nothing is made yet. Raises `FileRefused`."""
        target = self.writing / _relative(path)
        if target == self.writing:
            raise FileRefused(f"{quoted(path)} names the output folder itself; name a file in it.")
        # What is there already may be a link, also one to nothing; `resolve` follows both.
        try:
            inside = target.resolve().is_relative_to(self.writing.resolve())
        except (OSError, RuntimeError) as error:  # a link that leads to itself
            raise FileRefused(f"{quoted(path)} cannot be written: {error}.") from None
        if not inside:
            raise FileRefused(f"{quoted(path)} leads out of the output folder {self.writing} by a link.")
        return target

    def target(self, path: str) -> Path:
        """Where to write `path`, inside the output folder; the folders above it are made. Raises `FileRefused`."""
        target = self.place(path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileRefused(f"{quoted(path)} cannot be written: {error.strerror}: {target.parent}.") from None
        return target

    def fingerprint(self, path: str, kind: str = "input") -> str:
        """Changes when what `path` names changes: sizes and times of its files. Raises `FileRefused`."""
        found = self.find(path, kind)
        try:
            return fingerprint(found)
        except OSError as error:
            raise FileRefused(f"{quoted(path)} cannot be read: {error.strerror}.") from None


def fingerprint(*roots: Path) -> str:
    """Changes when a file, or one below a folder, does: names, sizes and times are told, nothing is read."""
    digest = hashlib.sha256()
    for root in roots:
        for file in sorted(p for p in root.rglob("*") if p.is_file()) if root.is_dir() else [root]:
            status = file.stat()
            named = os.fsencode(file.relative_to(root))
            digest.update(b"%s\0%d\0%d\n" % (named, status.st_size, status.st_mtime_ns))
    return digest.hexdigest()


def _relative(path: str) -> PurePosixPath:
    shown = quoted(path)
    if not path or "\0" in path:
        raise FileRefused(f"{shown} is not a path.")
    try:
        longest = max(len(part) for part in path.encode().split(b"/"))
    except UnicodeEncodeError:
        raise FileRefused(f"{shown} holds half a character (a lone surrogate), which no file name has.") from None
    if len(path) > 1024 or longest > 255:
        raise FileRefused(f"The path {shown} is too long: at most 1024 characters, and 255 bytes between two /.")
    if "\\" in path or ":" in path.split("/")[0]:
        raise FileRefused(f"{shown} is not written as paths in workflows are: folders divided by /, no drive.")
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts:
        raise FileRefused(f"{shown} is outside the folders a workflow may use: write it relative, without '..'.")
    return pure
