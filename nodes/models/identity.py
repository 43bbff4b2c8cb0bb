"""What a model is by its content, so that a saved picture names it alike on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from ..types import Model

_TOLD = (".json", ".txt", ".safetensors")
_WHOLE = 1 << 20
_SAMPLES, _SAMPLE = 64, 1 << 14


def identity(*roots: Path) -> str:
    """A digest of the configuration and weights in files and folders; where they stand and when they were written does
    not matter.

    Of a large file the beginning, where safetensors say what they hold, and 64 places evenly spread are read: enough to
    tell models apart in milliseconds, no proof against someone who means to deceive.
    """
    digest = hashlib.sha256()
    for root in roots:
        for file in sorted(root.rglob("*")) if root.is_dir() else [root]:
            if file.suffix in _TOLD and file.is_file():
                name = file.relative_to(root).as_posix() if root.is_dir() else ""
                digest.update(f"{name}\0{file.stat().st_size}\0".encode())
                for part in _parts(file):
                    digest.update(part)
    return f"sampled-sha256:{digest.hexdigest()[:32]}"


def of_model(model: Model) -> str:
    """What `model` is by its weights; patches do not count. Of a hub id it is the commit."""
    return model.revision or identity(Path(model.source), *([Path(model.config)] if model.config else []))


def _parts(file: Path) -> Iterator[bytes]:
    size = file.stat().st_size
    with file.open("rb") as opened:
        yield opened.read(_WHOLE)
        if size > _WHOLE:
            for index in range(_SAMPLES):
                opened.seek(_WHOLE + (size - _WHOLE) * index // _SAMPLES)
                yield opened.read(_SAMPLE)
            opened.seek(max(0, size - _SAMPLE))
            yield opened.read(_SAMPLE)
