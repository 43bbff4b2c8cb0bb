"""The key of a result: equal for equal computations, so that a change re-runs what it touches and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any
from uuid import uuid4

from .check import Bound
from .files import FileRefused, Files
from .settings import read_paths

_ONCE = "once "


def keys(order: Iterable[str], nodes: Mapping[str, Bound], files: Files | None, salt: str) -> dict[str, str]:
    """The key of each node in `order`: of its module's source, its settings, the files these name, and the keys of its
    inputs. `salt` is whatever else the results depend on.

    An effect's key, and that of all that depends on it, is new in every run: what it gives may differ.
    """
    fingerprint = cache((files or Files()).fingerprint)
    found: dict[str, str] = {}
    for id_ in order:
        node = nodes[id_]
        if node.declaration.effect:
            found[id_] = _ONCE + uuid4().hex
            continue
        read = []
        for name, setting in node.declaration.settings.items():
            for marker, path in read_paths(setting, node.settings[name]):
                try:
                    read.append((name, path, fingerprint(path, marker.kind)))
                except FileRefused:
                    read.append((name, path, ""))  # no file of ours (a hub id), or gone since: the node says what it is
        inputs = {
            port: [(found[source], output) for source, output in sources] for port, sources in node.sources.items()
        }
        parts = [node.declaration.name, node.declaration.source_hash, plain(node), inputs, read, salt]
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
        found[id_] = digest if all(lasting(found[source]) for source, _ in node.wires) else _ONCE + digest
    return found


def lasting(key: str) -> bool:
    """Whether another run can have this key, so that its result is worth keeping."""
    return not key.startswith(_ONCE)


def plain(node: Bound) -> dict[str, Any]:
    """The settings in force as JSON values."""
    return {name: node.declaration.settings[name].plain(value) for name, value in node.settings.items()}
