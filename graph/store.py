"""Where results are kept between runs: in memory, on disk, or one behind the other. Each is bounded in bytes, and what
was not used for longest goes first.

A store may forget anything at any time; then it is computed again. It never gives back something else.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from . import atomic

VERSIONED = ("latentloom", "torch", "diffusers", "transformers")
"""Packages whose results may differ from version to version, so that what is on disk names theirs."""

_SUFFIX = ".result"
_DIGEST = hashlib.sha256


@dataclasses.dataclass(frozen=True)
class Result:
    """What a node gave: values by output name, the facts it noted, and the fingerprints of the models it rests on."""

    outputs: Mapping[str, Any]
    notes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    models: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class Store(Protocol):
    def get(self, key: str) -> Result | None: ...
    def put(self, key: str, result: Result) -> None: ...


class Codec(Protocol):
    """Values to bytes and back, exactly. The graph knows no tensors, so the nodes bring it."""

    def encode(self, value: Any) -> bytes:
        """Raises `TypeError` for a value it does not know."""
        ...

    def decode(self, data: bytes) -> Any: ...


class MemoryStore:
    """Keeps results of at most `max_bytes` together. One larger than that is not kept."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self._kept: OrderedDict[str, tuple[Result, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> Result | None:
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def put(self, key: str, result: Result) -> None:
        size = sizeof(result)
        with self._lock:
            self._drop(key)
            if size > self.max_bytes:
                return
            self._kept[key] = (result, size)
            self.bytes += size
            while self.bytes > self.max_bytes:
                self._drop(next(iter(self._kept)))

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()
            self.bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def _drop(self, key: str) -> None:
        if key in self._kept:
            self.bytes -= self._kept.pop(key)[1]


class DiskStore:
    """Keeps results in files of at most `max_bytes` together, also for other processes that name the same folder.

    A damaged file is dropped; a value `codec` does not know, or that no room is found for, is not kept. What other
    versions of the packages in `VERSIONED` made is not given back.
    """

    def __init__(self, folder: str | Path, codec: Codec, max_bytes: int) -> None:
        self.folder, self.max_bytes = Path(folder), max_bytes
        self._codec = codec
        self._versions = versions()
        self.folder.mkdir(parents=True, exist_ok=True)
        atomic.sweep(self.folder)

    def get(self, key: str) -> Result | None:
        path = self._path(key)
        try:
            data = memoryview(path.read_bytes())
            os.utime(path)
        except OSError:
            return None
        digest, content = data[: _DIGEST().digest_size], data[_DIGEST().digest_size :]
        if digest == _DIGEST(content).digest():
            # Whole, but perhaps from before the codec changed: whatever it then raises, the result is computed anew.
            with suppress(Exception):
                return Result(*self._codec.decode(bytes(content)))
        with suppress(OSError):
            path.unlink()
        return None

    def put(self, key: str, result: Result) -> None:
        try:
            content = self._codec.encode((dict(result.outputs), dict(result.notes), dict(result.models)))
        except Exception:  # as for reading: it costs the next run some time, and nothing else
            return
        if len(content) > self.max_bytes:
            return
        # A full or failing disk costs the next run some time, and must not cost this one its result.
        with suppress(OSError):
            atomic.write(self._path(key), _DIGEST(content).digest(), content)
            self._shrink()

    def _path(self, key: str) -> Path:
        named = "\n".join([key, *(f"{package} {number}" for package, number in self._versions.items())])
        return self.folder / f"{_DIGEST(named.encode()).hexdigest()}{_SUFFIX}"

    def _shrink(self) -> None:
        with os.scandir(self.folder) as entries:
            files = [(entry.stat(), entry.path) for entry in entries if entry.name.endswith(_SUFFIX)]
        total = sum(status.st_size for status, _ in files)
        for status, path in sorted(files, key=lambda file: file[0].st_mtime_ns):
            if total <= self.max_bytes:
                return
            total -= status.st_size
            with suppress(OSError):
                Path(path).unlink()


class Tiers:
    """Stores one behind the other, the quickest first. What a later one gives is kept in the earlier ones too."""

    def __init__(self, *stores: Store) -> None:
        self._stores: Sequence[Store] = stores

    def get(self, key: str) -> Result | None:
        for depth, store in enumerate(self._stores):
            if (result := store.get(key)) is not None:
                for earlier in self._stores[:depth]:
                    earlier.put(key, result)
                return result
        return None

    def put(self, key: str, result: Result) -> None:
        for store in self._stores:
            store.put(key, result)


def versions() -> dict[str, str]:
    """The versions of the packages in `VERSIONED` that are installed; none of them is imported."""
    found = {}
    for package in VERSIONED:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def sizeof(value: Any) -> int:
    """Bytes `value` holds: `nbytes` of tensors and arrays, found through dataclasses, mappings and sequences. What is
    held twice counts once."""
    total, seen, waiting = 0, set(), [value]
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        nbytes = getattr(part, "nbytes", None)
        if isinstance(nbytes, int):
            total += nbytes
            continue
        total += sys.getsizeof(part)
        if dataclasses.is_dataclass(part) and not isinstance(part, type):
            waiting += [getattr(part, field.name) for field in dataclasses.fields(part)]
        elif isinstance(part, Mapping):
            waiting += [*part.keys(), *part.values()]
        elif isinstance(part, list | tuple | set | frozenset):
            waiting += part
    return total
