"""The kinds of nodes, as the page draws them and checks their wires."""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from ...graph import atomic
from ...graph.catalog import Catalog, NodeUnavailable
from ...graph.problems import Problem
from ...graph.store import versions
from ...nodes.catalog import NODES
from .. import reference
from ..reference import catalog_of


class SettingKind(BaseModel):
    """`schema` is JSON schema; `reads` names the folders a file is looked up in, if the value is one."""

    name: str
    kind: str
    required: bool
    default: Any
    description: str
    json_schema: dict[str, Any] = Field(alias="schema")
    reads: str | None
    writes: bool


class InputKind(BaseModel):
    """`many` takes any number of wires."""

    name: str
    types: list[str]
    optional: bool
    many: bool


class OutputKind(BaseModel):
    name: str
    types: list[str]


class NodeKind(BaseModel):
    """`title` is the name in words; an `effect` saves or shows and always runs."""

    name: str
    title: str
    category: str
    effect: bool
    summary: str
    doc: str
    links: list[str]
    inputs: list[InputKind]
    outputs: list[OutputKind]
    settings: list[SettingKind]


class CatalogDescription(BaseModel):
    """`types` tells of each type a wire carries itself and what it is a kind of, nearest first; `problems` which nodes
    could not be loaded."""

    nodes: list[NodeKind]
    types: dict[str, list[str]]
    problems: list[Problem]


def describe_catalog(catalog: Catalog) -> CatalogDescription:
    """Imports the file of each node."""
    return CatalogDescription.model_validate(catalog_of(catalog))


class Described:
    """What `describe_catalog` gives of `catalog`, remembered in `file`: the nodes import PyTorch, which takes seconds
    in which nothing could be shown.

    It is remembered for the nodes that ship, whose every file is known; with those of other packages among them it is
    made anew at each start.
    """

    def __init__(self, catalog: Catalog, file: Path) -> None:
        self._catalog, self._file = catalog, file
        self._lock = threading.Lock()
        self._known: CatalogDescription | None = None

    def __call__(self) -> CatalogDescription:
        with self._lock:
            if self._known is None:
                state = state_of_nodes() if list(self._catalog) == list(NODES) else ""
                self._known = self._remembered(state) or self._made(state)
            return self._known

    def load(self) -> None:
        """Import the files of all nodes, so that the first workflow that is checked does not wait for them."""
        self()
        for name in self._catalog:
            with suppress(NodeUnavailable):  # the description tells of it
                _ = self._catalog[name]

    def _remembered(self, state: str) -> CatalogDescription | None:
        try:
            before, _, description = self._file.read_text("utf-8").partition("\n")
            return CatalogDescription.model_validate_json(description) if before == state else None
        except (OSError, ValueError):
            return None

    def _made(self, state: str) -> CatalogDescription:
        made = describe_catalog(self._catalog)
        if state and not made.problems:
            with suppress(OSError):  # the next start takes as long as this one
                self._file.parent.mkdir(parents=True, exist_ok=True)
                atomic.write(self._file, f"{state}\n{made.model_dump_json(by_alias=True)}".encode())
        return made


def state_of_nodes() -> str:
    """Changes with every file the description of our nodes is made of, and with the packages it depends on."""
    digest = hashlib.sha256(f"{sys.version}{versions()}{version('pydantic')}".encode())
    for path in _sources():
        stat = path.stat()
        digest.update(f"{path} {stat.st_mtime_ns} {stat.st_size}\n".encode())
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    app = Path(reference.__file__).resolve().parent
    yield from (Path(__file__), Path(reference.__file__))
    for folder in ("graph", "nodes", "kernels"):
        yield from sorted((app.parent / folder).rglob("*.py"))
