"""Which workflow files the workspace reads and writes: those below a few named folders, and nothing beside them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...graph.files import FileMissing, FileRefused, Files
from ...graph.problems import did_you_mean, listed, quoted
from .refusals import miss, refuse

ENDING = ".json"
MAX_NAME_BYTES = 200
MAX_DEPTH = 8
MAX_LISTED = 2000
MAX_VISITED = 20_000

_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])", re.IGNORECASE)
_ODD = frozenset('<>:"|?*\\')


@dataclass(frozen=True)
class Root:
    """A folder of workflow files by its name in paths. `depth` counts the folders below that are looked into, `without`
    names those at the top that hold something else."""

    name: str
    folder: Path
    writable: bool = True
    depth: int = MAX_DEPTH
    without: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Place:
    """Where a path of the API leads. `file` is inside the folder of `root`, also when links are followed."""

    path: str
    root: Root
    file: Path

    @property
    def name(self) -> str:
        """The path without root and ending."""
        return self.path.partition("/")[2].removesuffix(ENDING)


class Roots:
    """The roots of a workspace, by name."""

    def __init__(self, roots: Sequence[Root]) -> None:
        self._roots = {root.name: root for root in roots}

    def __getitem__(self, name: str) -> Root:
        return self._roots[name]

    def to_read(self, path: str) -> Place:
        """Raises `Refused` for a path that leads elsewhere, `Missing` where no file is."""
        root, relative = self._parted(path)
        try:
            file = Files({root.name: [root.folder]}).find(relative, root.name)
        except FileMissing:
            near = did_you_mean(path, (place.path for place in self.walk(root)))
            miss(f"There is no file {quoted(path)}.{near}")
        except FileRefused as error:
            refuse(str(error))
        if not file.is_file():
            refuse(f"{quoted(path)} is a folder; name a workflow in it.")
        return Place(path, root, file)

    def to_write(self, path: str) -> Place:
        """Where a file is, or may come to be; its folder is not made yet. Raises `Refused`."""
        root, relative = self._parted(path)
        if not root.writable:
            refuse(f"{quoted(path)} comes with latentloom and is not written over; save it below {self._writable}.")
        if not relative.endswith(ENDING):
            refuse(f"{quoted(path)} is no name for a workflow: it must end in {ENDING}.")
        try:
            file = Files(writing=root.folder).place(relative)
        except FileRefused as error:
            refuse(str(error))
        if file.exists() and not file.is_file():
            refuse(f"{quoted(path)} is a folder; name a file.")
        return Place(path, root, file)

    def walk(self, *roots: Root) -> Iterator[Place]:
        """The workflow files below the roots, or below all, at most `MAX_LISTED` a root; links to folders are not
        followed, and names that paths may not hold are passed over."""
        for root in roots or self._roots.values():
            for count, place in enumerate(_walk(root), start=1):
                yield place
                if count == MAX_LISTED:
                    break

    def path_of(self, file: Path) -> str | None:
        """What the API calls `file`; `None` for a file below no root."""
        for root in self._roots.values():
            try:
                relative = file.resolve().relative_to(root.folder.resolve()).as_posix()
            except ValueError:
                continue
            return f"{root.name}/{relative}"
        return None

    @property
    def _writable(self) -> str:
        return listed((f"{root.name}/" for root in self._roots.values() if root.writable), "or")

    def _parted(self, path: str) -> tuple[Root, str]:
        name, _, relative = path.partition("/")
        root = self._roots.get(name)
        if root is None or not relative:
            begins = listed((f"{name}/" for name in self._roots), "or")
            refuse(f"{quoted(path)} names no file of the workspace: paths begin with {begins}.")
        parts = relative.split("/")
        for part in parts:
            if fault := name_fault(part):
                refuse(f"{quoted(path)} is no path here: {fault}")
        if len(parts) > MAX_DEPTH + 1:
            refuse(f"{quoted(path)} lies too deep: at most {MAX_DEPTH} folders one in another are used.")
        return root, relative


def name_fault(part: str) -> str:
    """Why `part` names no file or folder on some system, as a sentence; empty where all is well."""
    shown = quoted(part)
    if not part:
        return "there is nothing between two /."
    if part == "..":
        return "'..' leads out of the folders that are used."
    if part.startswith("."):
        return f"{shown} is hidden; names do not begin with a dot."
    try:
        size = len(part.encode())
    except UnicodeEncodeError:
        return f"{shown} holds half a character (a lone surrogate), which no file name has."
    if size > MAX_NAME_BYTES:
        return f"{shown} is too long: at most {MAX_NAME_BYTES} bytes are taken."
    if odd := sorted(_ODD & set(part)):
        return f"{shown} holds {' '.join(odd)}, which not every system has in file names."
    if not part.isprintable():
        return f"{shown} holds characters that cannot be seen."
    if part != part.strip() or part.endswith("."):
        return f"{shown} begins or ends with a space, or ends with a dot, which not every system keeps."
    if _RESERVED.fullmatch(part.split(".")[0].strip()):
        return f"{shown} is a name that Windows keeps for itself."
    return ""


def _walk(root: Root) -> Iterator[Place]:
    """Files of a folder before those of the folders in it."""
    visited = 0
    waiting: list[tuple[Path, str, int]] = [(root.folder, root.name, 0)]
    while waiting:
        folder, path, depth = waiting.pop(0)
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError:  # not there, or not ours to read
            continue
        for entry in entries:
            visited += 1
            if visited > MAX_VISITED:
                return
            if name_fault(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                if depth < root.depth and (depth or entry.name not in root.without):
                    waiting.append((folder / entry.name, f"{path}/{entry.name}", depth + 1))
            elif entry.name.endswith(ENDING) and _is_inside(entry, root):
                yield Place(f"{path}/{entry.name}", root, folder / entry.name)


def _is_inside(entry: os.DirEntry[str], root: Root) -> bool:
    try:
        inside = not entry.is_symlink() or Path(entry.path).resolve().is_relative_to(root.folder.resolve())
        return inside and entry.is_file()
    except (OSError, RuntimeError):  # a link that leads to itself
        return False
