"""A call of a node's function, as a run asks for it and as it is answered."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter
from typing import Any

from .check import Bound


@dataclass(frozen=True)
class Made:
    """What a node's function returned, and its share of the time that took."""

    value: Any
    seconds: float


@dataclass(frozen=True, eq=False)
class Call:
    """A node's function to be called. Calls of equal `key` are one call."""

    node: Bound
    key: str
    arguments: Mapping[str, Any]

    def __call__(self) -> Made:
        begun = perf_counter()
        value = self.node.declaration.function(**self.arguments)
        return Made(value, perf_counter() - begun)

    @cached_property
    def kind(self) -> Hashable | None:
        """Calls of equal kind can be made together; None for one that is made alone."""
        together = self.node.declaration.together
        alike = together.alike(self.arguments) if together else None
        return None if alike is None else (self.node.declaration.name, alike)
