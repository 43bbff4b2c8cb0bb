"""A node is a typed function: its annotations are its ports and settings, written once.

A parameter of plain type (`bool int float str`, `Literal`, an enum, or a union, tuple or list of these) is a setting;
a parameter of an injected type (`Progress`, `Files`, `Provenance`) is handed in by the run; any other parameter arrives
by wire. A parameter annotated `tuple[T, ...]`, `T` not plain, takes any number of wires. The result type names the
outputs: one type is one output, named after the type; a `NamedTuple` is several; `None` is none.
"""

from __future__ import annotations

import enum
import hashlib
import inspect
import json
import re
import sys
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from .files import Files
from .progress import Progress
from .provenance import Provenance

INJECTED: tuple[type, ...] = (Progress, Files, Provenance)
"""Types a run hands to a node that asks for them."""

_PLAIN = (bool, int, float, str, type(None))
_REQUIRED = inspect.Parameter.empty
_ATTRIBUTE = "__latentloom_node__"
_LINK = re.compile(r"https?://[^\s)>\]]+")

Function = TypeVar("Function", bound=Callable[..., Any])


class DeclarationError(TypeError):
    """A node function is not declared as the rules in this module ask."""


class NodeError(Exception):
    """Raised in a node for what a person can mend. The message is a sentence: what is wrong and what is accepted."""


@dataclass(frozen=True)
class Input:
    """A wired parameter: the types it takes, what it is without a wire, whether it takes several wires."""

    name: str
    accepts: tuple[type, ...]
    default: Any = field(default=_REQUIRED, compare=False)
    many: bool = False

    @property
    def optional(self) -> bool:
        return self.default is not _REQUIRED

    @property
    def type_names(self) -> str:
        return " or ".join(name(accepted) for accepted in self.accepts)


@dataclass(frozen=True)
class Output:
    """A named result."""

    name: str
    gives: tuple[type, ...]

    @property
    def type_names(self) -> str:
        return " or ".join(name(given) for given in self.gives)


@dataclass(frozen=True)
class Setting:
    """A plain parameter edited on the node; `annotation` carries its `Field` limits and its markers."""

    name: str
    annotation: Any
    default: Any = _REQUIRED

    @property
    def required(self) -> bool:
        return self.default is _REQUIRED

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
        return [extra for extra in getattr(self.annotation, "__metadata__", ()) if isinstance(extra, kind)]

    def validate(self, value: Any) -> Any:
        """`value`, as JSON gives it, as the function takes it. Raises `ValueError` with a sentence."""
        try:
            return self._adapter.validate_json(json.dumps(value), strict=True)
        except ValidationError as error:
            raise ValueError("; ".join(_sentence(problem) for problem in error.errors())) from None

    def plain(self, value: Any) -> Any:
        """A value as the function takes it, as JSON has it."""
        return self._adapter.dump_python(value, mode="json")


@dataclass(frozen=True)
class Declaration:
    """What the graph knows of a node function. Ports are read from its annotations at first use."""

    function: Callable[..., Any]
    effect: bool = False
    category_given: str | None = None

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def category(self) -> str:
        """The folder the node's file stands in, or the one given."""
        return self.category_given or self.function.__module__.split(".")[-2]

    @cached_property
    def summary(self) -> str:
        return self.doc.split("\n\n")[0].replace("\n", " ")

    @cached_property
    def doc(self) -> str:
        return inspect.getdoc(self.function) or ""

    @cached_property
    def links(self) -> list[str]:
        """Papers and pages the docstrings of the node and of its file name."""
        module = inspect.getmodule(self.function)
        return list(dict.fromkeys(_LINK.findall(f"{self.doc}\n{(module and module.__doc__) or ''}")))

    @cached_property
    def source_hash(self) -> str:
        """Hash of the node's file: an edited node computes anew."""
        file = inspect.getsourcefile(self.function)
        source = Path(file).read_bytes() if file else self.function.__code__.co_code
        return hashlib.sha256(source).hexdigest()

    @cached_property
    def _parameters(self) -> list[tuple[str, Any, Any]]:
        signature = inspect.signature(self.function)
        hints = _hints(self.function)
        found = []
        for parameter in signature.parameters.values():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise DeclarationError(f"Node {self.name}: write its parameters out; *{parameter.name} has no port.")
            if parameter.name not in hints:
                raise DeclarationError(f"Node {self.name}: parameter {parameter.name} needs a type.")
            found.append((parameter.name, hints[parameter.name], parameter.default))
        return found

    @cached_property
    def settings(self) -> dict[str, Setting]:
        return {
            name: Setting(name, annotation, default)
            for name, annotation, default in self._parameters
            if _is_plain(annotation)
        }

    @cached_property
    def inputs(self) -> dict[str, Input]:
        found = {}
        for name, annotation, default in self._parameters:
            if _is_plain(annotation) or _injected(annotation):
                continue
            many = _many(annotation)
            accepts = _classes(many or annotation, self.name, name)
            if default is _REQUIRED and type(None) in accepts:
                default = None
            found[name] = Input(name, tuple(t for t in accepts if t is not type(None)), default, many is not None)
        return found

    @cached_property
    def injected(self) -> dict[str, type]:
        found = {name: kind for name, annotation, _ in self._parameters if (kind := _injected(annotation))}
        if Provenance in found.values() and not self.effect:
            raise DeclarationError(f"Node {self.name}: only an @effect takes Provenance, which is in no result's key.")
        return found

    @cached_property
    def outputs(self) -> dict[str, Output]:
        hints = _hints(self.function)
        if "return" not in hints:
            raise DeclarationError(f"Node {self.name}: say what it returns.")
        result = hints["return"]
        if result is type(None):
            return {}
        if self._returns_tuple:
            fields = typing.get_type_hints(result)
            return {field: Output(field, _classes(kind, self.name, field)) for field, kind in fields.items()}
        given = _classes(result, self.name, "return")
        port = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name(given[0])).lower()
        return {port: Output(port, given)}

    @cached_property
    def _returns_tuple(self) -> bool:
        result = _hints(self.function).get("return")
        return isinstance(result, type) and issubclass(result, tuple) and hasattr(result, "_fields")

    def unpack(self, result: Any) -> dict[str, Any]:
        """The function's result by output name."""
        if not self.outputs:
            return {}
        if self._returns_tuple:
            return dict(zip(self.outputs, result, strict=True))
        return {next(iter(self.outputs)): result}


@typing.overload
def node(function: Function, /) -> Function: ...
@typing.overload
def node(*, category: str | None = None) -> Callable[[Function], Function]: ...
def node(function: Any = None, /, *, category: str | None = None) -> Any:
    """Declare a pure function as a node: equal settings and inputs give an equal result, so results are kept."""
    return _declare(function, effect=False, category=category)


@typing.overload
def effect(function: Function, /) -> Function: ...
@typing.overload
def effect(*, category: str | None = None) -> Callable[[Function], Function]: ...
def effect(function: Any = None, /, *, category: str | None = None) -> Any:
    """Declare a function that saves or shows: it always runs, and is what a run is for when no goal is named."""
    return _declare(function, effect=True, category=category)


def declaration(function: Callable[..., Any]) -> Declaration:
    """The declaration `@node` or `@effect` made. Raises `DeclarationError` for a plain function."""
    found = getattr(function, _ATTRIBUTE, None)
    if found is None:
        raise DeclarationError(f"{function!r} is not a node: decorate it with @node or @effect.")
    return found


def name(kind: type) -> str:
    """A type's name as a person reads it."""
    return getattr(kind, "__name__", str(kind))


def _declare(function: Any, *, effect: bool, category: str | None) -> Any:
    def decorate(function: Function) -> Function:
        setattr(function, _ATTRIBUTE, Declaration(function, effect, category))
        return function

    return decorate if function is None else decorate(function)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    module = sys.modules.get(function.__module__)
    return typing.get_type_hints(function, globalns=vars(module) if module else None, include_extras=True)


def _bare(annotation: Any) -> Any:
    return annotation.__origin__ if typing.get_origin(annotation) is typing.Annotated else annotation


def _is_plain(annotation: Any) -> bool:
    annotation = _bare(annotation)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return True
    if origin in (typing.Union, types.UnionType, tuple, list):
        return all(part is Ellipsis or _is_plain(part) for part in arguments)
    if not isinstance(annotation, type):
        return False
    return annotation in _PLAIN or issubclass(annotation, enum.Enum)


def _injected(annotation: Any) -> type | None:
    annotation = _bare(annotation)
    return annotation if annotation in INJECTED else None


def _many(annotation: Any) -> Any:
    annotation = _bare(annotation)
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return arguments[0]
    return None


def _classes(annotation: Any, node: str, port: str) -> tuple[type, ...]:
    annotation = _bare(annotation)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return tuple(kind for part in typing.get_args(annotation) for kind in _classes(part, node, port))
    if not isinstance(annotation, type):
        raise DeclarationError(f"Node {node}, port {port}: {annotation!r} is not a type a wire can carry.")
    return (annotation,)


def _sentence(problem: Any) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    text = problem["msg"].replace("Input should be", "it should be")
    return f"{place}: {text}" if place else text
