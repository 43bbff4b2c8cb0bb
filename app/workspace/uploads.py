"""Pictures and models a workflow can name: taken in, listed, shown small."""

from __future__ import annotations

import builtins
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from ...graph import atomic
from ...graph.files import FileMissing, FileRefused, Files
from ...graph.problems import listed, quoted
from ..models import usable_models
from . import pictures
from .models import Upload
from .refusals import miss, refuse
from .roots import name_fault

FOLDER = "uploads"
SIZES = (16, 1024)
"""The smallest and the largest thumbnail, in pixels."""

MAX_CHOICES = 2000
MAX_VISITED = 20_000
MAX_DEPTH = 3

_KEPT_THUMBNAILS = 512


class Uploads:
    """`reading` are the folders workflows read from, by kind; what is taken in goes to `uploads` in the folder `to`,
    which is the first of the input folders.

    Paths are as a setting that reads `input` has them.
    """

    def __init__(self, reading: Mapping[str, Sequence[Path]], to: Path, flat: Sequence[Path] = ()) -> None:
        """Of the folders `flat`, only the files at the top are listed: nobody chose them for their pictures."""
        self._reading, self._files, self._to, self._flat = reading, Files(reading), to, set(flat)

    def save(self, data: bytes) -> Upload:
        """Take a picture in, as PNG under a random name. Raises `Refused`."""
        if len(data) > pictures.MAX_BYTES:
            refuse(f"The file has {len(data) / 1e6:.0f} MB; up to {pictures.MAX_BYTES >> 20} MB are taken in.")
        picture = pictures.decode(data)
        name = f"{secrets.token_hex(8)}.png"
        try:
            (self._to / FOLDER).mkdir(parents=True, exist_ok=True)
            atomic.write_new(self._to / FOLDER / name, pictures.as_png(picture))
        except OSError as error:
            refuse(f"The picture cannot be kept in {self._to / FOLDER}: {error.strerror or error}.")
        return Upload(path=f"{FOLDER}/{name}", width=picture.width, height=picture.height)

    def choices(self, kind: str) -> builtins.list[str]:
        """Values for a setting that reads `kind`: pictures by name, uploads last, newest first; or names of models.

        Raises `Refused`.
        """
        if kind == "models":
            return builtins.list(dict.fromkeys(usable_models(self._reading["models"])))
        if kind != "input":
            refuse(f"There is nothing to choose of the kind {quoted(kind)}; there are {listed(self._reading)}.")
        uploads = self._to / FOLDER
        found: dict[str, Path] = {}
        for folder in self._reading["input"]:
            for file in _pictures(folder, 0 if folder in self._flat else MAX_DEPTH):
                found.setdefault(file.relative_to(folder).as_posix(), file)
        own = {path for path, file in found.items() if file.parent != uploads}
        taken_in = sorted((path for path in found if path not in own), key=lambda path: -_changed(found[path]))
        return [*sorted(own, key=str.casefold), *taken_in][:MAX_CHOICES]

    def picture(self, path: str) -> Path:
        """The picture file `path` names in an input folder. Raises `Missing`, `Refused`."""
        if fault := next((fault for part in path.split("/") if (fault := name_fault(part))), ""):
            refuse(f"{quoted(path)} is no path of a picture: {fault}")
        if not path.lower().endswith(pictures.ENDINGS):
            refuse(f"{quoted(path)} is no picture: {listed(pictures.ENDINGS, 'or')} are.")
        try:
            found = self._files.find(path)
        except FileMissing:
            miss(f"There is no picture {quoted(path)} in the input folders.")
        except FileRefused as error:
            refuse(str(error))
        return found if found.is_file() else miss(f"{quoted(path)} is a folder; a picture is wanted.")

    def thumbnail(self, path: str, size: int) -> bytes:
        """WebP, at most `size` pixels wide and high. Raises `Missing`, `Refused`."""
        file, (least, most) = self.picture(path), SIZES
        if not least <= size <= most:
            refuse(f"A thumbnail of {size} pixels is not made: {least} to {most} are taken.")
        return _thumbnail(file, _changed(file), size)


@lru_cache(maxsize=_KEPT_THUMBNAILS)
def _thumbnail(file: Path, _changed_at: int, size: int) -> bytes:
    if file.stat().st_size > pictures.MAX_BYTES:
        refuse(f"{quoted(file.name)} is larger than {pictures.MAX_BYTES >> 20} MB.")
    return pictures.as_thumbnail(pictures.decode(file), size)


def _changed(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:  # gone meanwhile
        return 0


def _pictures(folder: Path, depth: int) -> Iterator[Path]:
    """Pictures in a folder and those below; links to folders are not followed, odd names passed over."""
    visited = 0
    for at, folders, files in os.walk(folder):
        visited += len(folders) + len(files)
        if visited > MAX_VISITED:
            return
        deep = len(Path(at).relative_to(folder).parts) >= depth
        folders[:] = [] if deep else sorted(name for name in folders if not name_fault(name))
        for name in sorted(files):
            if name.lower().endswith(pictures.ENDINGS) and not name_fault(name):
                yield Path(at) / name
