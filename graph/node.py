"""A node is a typed function: its annotations are its ports and settings, written once.

A parameter of plain type (`bool int float str`, `Literal`, an enum, or a union, tuple or list of these) is a setting;
a parameter of an injected type (`Progress`, `Files`, `Provenance`) is handed in by the run; any other parameter arrives
by wire. A parameter annotated `tuple[T, ...]`, `T` not plain, takes any number of wires. The result type names the
outputs: one type is one output, named after the type; a `NamedTuple` is several; `None` is none.
"""

from __future__ import annotations

import hashlib
import inspect
import re
import typing
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from .files import Files
from .ports import REQUIRED, DeclarationError, Input, Output, Setting, is_plain, item, type_name, unwrap, wire_types
from .progress import Progress
from .provenance import Provenance

INJECTED: tuple[type, ...] = (Progress, Files, Provenance)
"""Types a run hands to a node that asks for them."""

_ATTRIBUTE = "__latentloom_node__"
_LINK = re.compile(r"https?://[^\s)>\]]*[^\s)>\].,;:]")

Function = TypeVar("Function", bound=Callable[..., Any])


class NodeError(Exception):
    """Raised in a node for what a person can mend. The message is a sentence: what is wrong and what is accepted."""


Arguments = Mapping[str, Any]
"""What a node's function is called with, by name."""


@dataclass(frozen=True)
class Together:
    """How several calls of a node, from several runs, are made as one: quicker, and each with the result it has alone.

    Calls with equal `alike` go together; None stands for a call that is made alone. `call` gives as many results as it
    gets arguments, in their order.
    """

    alike: Callable[[Arguments], Hashable | None]
    call: Callable[[Sequence[Arguments]], Sequence[Any]]


@dataclass(frozen=True)
class Declaration:
    """What the graph knows of a node function. Ports are read from its annotations at first use."""

    function: Callable[..., Any]
    effect: bool = False
    category_given: str | None = None
    title_given: str | None = None
    together: Together | None = None

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def title(self) -> str:
        """The title given, or the name in words; one that cannot be spoken is an abbreviation."""
        words = [word if set(word) & set("aeiouy") else word.upper() for word in self.name.split("_")]
        return self.title_given or " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])

    @property
    def category(self) -> str:
        """The folder the node's file stands in, or the one given; of a file in no folder, its name."""
        return self.category_given or self.function.__module__.split(".")[-2:][0]

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
        found = _LINK.findall(f"{self.doc}\n{(module and module.__doc__) or ''}")
        return list(dict.fromkeys(link.rstrip(".,;:") for link in found))

    @cached_property
    def source_hash(self) -> str:
        """Hash of the node's file: an edited node computes anew."""
        file = inspect.getsourcefile(inspect.unwrap(self.function))  # not that of a decorator
        source = Path(file).read_bytes() if file else self.function.__code__.co_code
        return hashlib.sha256(source).hexdigest()

    @cached_property
    def _parameters(self) -> list[tuple[str, Any, Any]]:
        signature = inspect.signature(self.function)
        hints = _hints(self.function)
        found = []
        for parameter in signature.parameters.values():
            if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                raise DeclarationError(f"Node {self.name}: {parameter} has no name to set it by; write parameters out.")
            if parameter.name not in hints:
                raise DeclarationError(f"Node {self.name}: parameter {parameter.name} needs a type.")
            found.append((parameter.name, hints[parameter.name], parameter.default))
        return found

    @cached_property
    def settings(self) -> dict[str, Setting]:
        return {
            name: Setting(name, annotation, default)
            for name, annotation, default in self._parameters
            if is_plain(annotation)
        }

    @cached_property
    def inputs(self) -> dict[str, Input]:
        found = {}
        for name, annotation, default in self._parameters:
            if is_plain(annotation) or _injected(annotation):
                continue
            several = item(annotation)
            accepts = wire_types(several or annotation, self.name, name)
            if default is REQUIRED and type(None) in accepts:
                default = None
            found[name] = Input(name, tuple(t for t in accepts if t is not type(None)), default, several is not None)
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
            return {field: Output(field, wire_types(kind, self.name, field)) for field, kind in fields.items()}
        given = wire_types(result, self.name, "return")
        port = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type_name(given[0])).lower()
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
def node(
    *, category: str | None = None, title: str | None = None, together: Together | None = None
) -> Callable[[Function], Function]: ...
def node(
    function: Any = None,
    /,
    *,
    category: str | None = None,
    title: str | None = None,
    together: Together | None = None,
) -> Any:
    """Declare a pure function as a node: equal settings and inputs give an equal result, so results are kept."""
    return _declare(function, False, category, title, together)


@typing.overload
def effect(function: Function, /) -> Function: ...
@typing.overload
def effect(*, category: str | None = None, title: str | None = None) -> Callable[[Function], Function]: ...
def effect(function: Any = None, /, *, category: str | None = None, title: str | None = None) -> Any:
    """Declare a function that saves or shows: it always runs, and is what a run is for when no goal is named."""
    return _declare(function, True, category, title)


def declaration(function: Callable[..., Any]) -> Declaration:
    """The declaration `@node` or `@effect` made. Raises `DeclarationError` for a plain function."""
    found = getattr(function, _ATTRIBUTE, None)
    if found is None:
        raise DeclarationError(f"{function!r} is not a node: decorate it with @node or @effect.")
    return found


def _declare(
    function: Any, effect: bool, category: str | None, title: str | None, together: Together | None = None
) -> Any:
    def decorate(function: Function) -> Function:
        setattr(function, _ATTRIBUTE, Declaration(function, effect, category, title, together))
        return function

    return decorate if function is None else decorate(function)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    return typing.get_type_hints(function, include_extras=True)


def _injected(annotation: Any) -> type | None:
    annotation = unwrap(annotation)
    return annotation if annotation in INJECTED else None
