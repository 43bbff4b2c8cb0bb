"""Files are written whole or not at all: beside their place first, then moved onto it in one step.

A process killed at any moment leaves the old file or the new one, and at worst a `.part` file beside it, which
`sweep` takes away later.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PART = ".part"
STALE_SECONDS = 3600.0
"""A `.part` file untouched for so long has no writer any more. Process ids say less: they differ between containers
that share a folder."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, in the folder of `path`; moved onto `path` when the block ends, removed when it fails.

    Its name ends in `.part`: name the format to writers that guess it from the name. A link at `path` is followed.
    """
    place = Path(os.path.realpath(path))
    with _part(place) as part:
        yield part
        _flush(part)
        if place.exists():
            shutil.copymode(place, part)
        part.replace(place)


def write(path: Path, *chunks: bytes | memoryview) -> None:
    """Put `chunks`, one after another, at `path`."""
    with replacing(path) as part, part.open("xb") as file:
        file.writelines(chunks)


def write_new(path: Path, *chunks: bytes | memoryview) -> None:
    """Put `chunks` at `path`, where nothing is yet. Raises `FileExistsError`, also when another writer was quicker."""
    with _part(path) as part:
        with part.open("xb") as file:
            file.writelines(chunks)
        _flush(part)
        try:
            os.link(part, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            if os.path.lexists(path):
                raise FileExistsError(f"{path} exists.") from None
            part.rename(path)


def sweep(folder: Path, older_than: float = STALE_SECONDS) -> int:
    """Remove what killed writers left in `folder`; how many files that were."""
    removed = 0
    for part in folder.glob(f".*{PART}"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > older_than:
                part.unlink()
                removed += 1
    return removed


@contextmanager
def _part(path: Path) -> Iterator[Path]:
    part = path.with_name(f".{path.name[:50]}.{secrets.token_hex(8)}{PART}")
    try:
        yield part
    finally:
        with suppress(OSError):
            part.unlink()


def _flush(part: Path) -> None:
    """To the disk, so that the name never stands for less than the content, even after a power cut."""
    with part.open("rb+") as written:
        os.fsync(written.fileno())
