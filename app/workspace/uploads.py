"""Pictures to work on: taken in, listed, shown small."""

from __future__ import annotations

from pathlib import Path

from .models import Upload


class Uploads:
    """The pictures below the input folders; paths are as a setting that reads `input` has them."""

    def save(self, data: bytes) -> Upload:
        raise NotImplementedError

    def choices(self, kind: str) -> list[str]:
        """Values for a setting that reads `kind`: `input` or `models`."""
        raise NotImplementedError

    def picture(self, path: str) -> Path:
        """The file `path` names in an input folder."""
        raise NotImplementedError

    def thumbnail(self, path: str, size: int) -> bytes:
        """WebP, at most `size` pixels wide and high."""
        raise NotImplementedError
