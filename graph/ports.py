"""What a node's annotations say of it: inputs and outputs that wires carry, settings edited on the node."""

from __future__ import annotations

import enum
import inspect
import json
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

REQUIRED = inspect.Parameter.empty
"""Stands where there is no default."""

_PLAIN = (bool, int, float, str, type(None))


class DeclarationError(TypeError):
    """A node function is not declared as the rules in `node.py` ask."""


@dataclass(frozen=True)
class Input:
    """A wired parameter: the types it takes, what it is without a wire, whether it takes several wires."""

    name: str
    accepts: tuple[type, ...]
    default: Any = field(default=REQUIRED, compare=False)
    many: bool = False

    @property
    def optional(self) -> bool:
        return self.default is not REQUIRED

    @property
    def type_names(self) -> str:
        return " or ".join(type_name(accepted) for accepted in self.accepts)


@dataclass(frozen=True)
class Output:
    """A named result."""

    name: str
    gives: tuple[type, ...]

    @property
    def type_names(self) -> str:
        return " or ".join(type_name(given) for given in self.gives)


@dataclass(frozen=True)
class Setting:
    """A plain parameter edited on the node; `annotation` carries its `Field` limits and its markers."""

    name: str
    annotation: Any
    given_default: Any = REQUIRED

    @property
    def required(self) -> bool:
        return self.given_default is REQUIRED

    @cached_property
    def default(self) -> Any:
        """As `validate` would give it, so that writing a default out changes nothing. Raises `DeclarationError`."""
        if self.required:
            return REQUIRED
        try:
            return self._adapter.validate_python(self.given_default, strict=True)
        except ValidationError as error:
            reasons = "; ".join(_sentence(problem) for problem in error.errors())
            raise DeclarationError(
                f"The default {self.given_default!r} of {self.name} does not fit: {reasons}"
            ) from None

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.annotation, config=ConfigDict(allow_inf_nan=False))

    @cached_property
    def schema(self) -> dict[str, Any]:
        """JSON schema, with the default, as the canvas and the reference read it."""
        schema = self._adapter.json_schema()
        return schema if self.required else {**schema, "default": self.plain(self.default)}

    @cached_property
    def description(self) -> str:
        return str(self.schema.get("description", ""))

    def markers(self, kind: type[Any]) -> list[Any]:
        """What the annotation carries of `kind`, e.g. the `Reads` of a path."""
        return [extra for extra in _extras(self.annotation) if isinstance(extra, kind)]

    def validate(self, value: Any) -> Any:
        """`value`, as JSON gives it, as the function takes it. Raises `ValueError` with a sentence."""
        try:
            return self._adapter.validate_json(json.dumps(value), strict=True)
        except ValidationError as error:
            raise ValueError("; ".join(_sentence(problem) for problem in error.errors())) from None

    def plain(self, value: Any) -> Any:
        """A value as the function takes it, as JSON has it."""
        return self._adapter.dump_python(value, mode="json")


def type_name(kind: type) -> str:
    """A type's name as a person reads it."""
    return getattr(kind, "__name__", str(kind))


def is_plain(annotation: Any) -> bool:
    """Whether a parameter so annotated is a setting."""
    annotation = unwrap(annotation)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return True
    if origin in (typing.Union, types.UnionType, tuple, list):
        return all(part is Ellipsis or is_plain(part) for part in arguments)
    if not isinstance(annotation, type):
        return False
    return annotation in _PLAIN or issubclass(annotation, enum.Enum)


def item(annotation: Any) -> Any:
    """`T` of `tuple[T, ...]`, which takes several wires; `None` for what takes one."""
    annotation = unwrap(annotation)
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return arguments[0]
    return None


def wire_types(annotation: Any, node: str, port: str) -> tuple[type, ...]:
    """The classes a wire so annotated carries, each member of a union. Raises `DeclarationError`."""
    annotation = unwrap(annotation)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return tuple(kind for part in typing.get_args(annotation) for kind in wire_types(part, node, port))
    if not isinstance(annotation, type):
        raise DeclarationError(f"Node {node}, port {port}: {annotation!r} is not a type a wire can carry.")
    return (annotation,)


def unwrap(annotation: Any) -> Any:
    """An annotation without what `Annotated` adds."""
    return annotation.__origin__ if typing.get_origin(annotation) is typing.Annotated else annotation


def _extras(annotation: Any) -> Iterator[Any]:
    """What `Annotated` adds, also to a part of a union or tuple."""
    yield from getattr(annotation, "__metadata__", ())
    if typing.get_origin(annotation := unwrap(annotation)) is not typing.Literal:
        for part in typing.get_args(annotation):
            yield from _extras(part)


def _sentence(problem: Any) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    text = problem["msg"].replace("Input should be", "it should be")
    return f"{place}: {text}" if place else text
