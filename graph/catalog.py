"""The nodes there are, by name. A node's file is imported when it is first asked for, so that asking is quick."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from .node import Declaration, declaration
from .problems import closest

ENTRY_POINTS = "latentloom.nodes"
"""Packages that bring nodes name them in this entry point group: `name = "package.module:function"`."""


class NodeUnavailable(Exception):  # noqa: N818 - the message is a sentence for the user
    """A node is listed, but its file cannot be imported or its function is not declared as it must be."""


class Catalog(Mapping[str, Declaration]):
    """Node name -> declaration.

    `modules` names the module, below `package` if one is given, that defines a function of the node's name. Nodes
    other packages bring are found when a name is not among these; they never replace one of these.
    """

    def __init__(self, modules: Mapping[str, str], package: str = "") -> None:
        self._places = {name: (f"{package}.{module}".lstrip("."), name) for name, module in modules.items()}
        self._found: dict[str, Declaration] = {}

    @classmethod
    def of(cls, *functions: Callable[..., Any]) -> Catalog:
        """A catalog of these node functions and no others."""
        catalog = cls({}, "")
        catalog._found = {declaration(function).name: declaration(function) for function in functions}
        catalog._brought = {}
        return catalog

    @cached_property
    def _brought(self) -> dict[str, tuple[str, str]]:
        points = importlib.metadata.entry_points(group=ENTRY_POINTS)
        return {point.name: (point.module, point.attr) for point in points if point.name not in self._places}

    def __getitem__(self, name: str) -> Declaration:
        """Raises `KeyError` for a name not listed, `NodeUnavailable` for a node that cannot be used."""
        if name not in self._found:
            place = self._places.get(name) or self._brought[name]
            self._found[name] = _load(name, *place)
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._places or name in self._found or name in self._brought

    def __iter__(self) -> Iterator[str]:
        yield from dict.fromkeys([*self._places, *self._found, *self._brought])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    __eq__ = object.__eq__  # comparing what is in two of them would import every node
    __hash__ = object.__hash__  # type: ignore[assignment]

    def closest(self, name: str) -> str | None:
        """The name of a node that looks most like `name`, if one does."""
        return closest(name, self)


def _load(name: str, module: str, attribute: str) -> Declaration:
    try:
        declared = declaration(getattr(importlib.import_module(module), attribute))
        # Read the annotations now, so that a wrong one is met here and nowhere later.
        _ = declared.inputs, declared.injected, declared.outputs, declared.source_hash
        for setting in declared.settings.values():
            _ = setting.schema
    except Exception as error:  # whatever a foreign module raises while it is imported
        raise NodeUnavailable(f'The node "{name}" of {module} cannot be used: {error}') from error
    return declared
