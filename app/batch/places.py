"""Where a row's files lie: `files/0000/0000012_name.png`, a thousand rows a folder, so that a name tells its row and
none is taken by two."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ...graph.files import Files

FOLDER = "files"
_ROWS_A_FOLDER = 1000
_DIGITS = 7


@dataclass(frozen=True)
class RowFiles(Files):
    """The files of row `row`. What is read is looked at once for all rows of a batch."""

    row: int = 0
    fingerprints: Callable[[str, str], str] | None = None

    def place(self, path: str) -> Path:
        super().place(path)  # refuses what leads elsewhere
        return super().place(f"{folder_of(self.row)}/{prefix(self.row)}{path.replace('/', '_')}")

    def fingerprint(self, path: str, kind: str = "input") -> str:
        return self.fingerprints(path, kind) if self.fingerprints else super().fingerprint(path, kind)


def of_row(files: Files) -> Callable[[int], RowFiles]:
    """Gives the files of a row, of those of the batch."""
    fingerprints = lru_cache(maxsize=4096)(files.fingerprint)
    return lambda row: RowFiles(files.reading, files.writing, row, fingerprints)


def folder_of(row: int) -> str:
    return f"{FOLDER}/{row // _ROWS_A_FOLDER:04d}"


def prefix(row: int) -> str:
    return f"{row:0{_DIGITS}d}_"


def clear(out: Path, unfinished: Callable[[int], bool], folders: Iterable[str] | None = None) -> None:
    """Remove what `unfinished` rows left, and what of any row was half written: in all `folders`, or in these."""
    for folder in sorted((out / FOLDER).glob("*")) if folders is None else {out / folder for folder in folders}:
        for file in folder.iterdir() if folder.is_dir() else ():
            row = _row_of(file.name)
            if row is not None and unfinished(row):
                file.unlink(missing_ok=True)


def settle(out: Path, files: list[str]) -> None:
    """The names of `files`, to the disk: the files themselves were written through before they were named."""
    folders = {(out / file).parent for file in files}
    for folder in folders | {folder.parent for folder in folders}:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _row_of(name: str) -> int | None:
    digits = name.removeprefix(".").partition("_")[0]
    return int(digits) if len(digits) >= _DIGITS and digits.isdecimal() else None
