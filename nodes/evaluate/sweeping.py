"""Which values of a method can be changed, what they are called, and the method with one of them changed."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from importlib import import_module
from typing import Any

from ...graph.node import NodeError, declaration
from ...graph.problems import closest
from ..catalog import NODES
from ..schedule.samplers import SAMPLERS
from ..types import Guidance, Method, Sampler

Plain = bool | int | float | str
_NODES = __name__.rsplit(".", 2)[0]


@dataclass(frozen=True)
class Place:
    """One value of a method: `names` of the recipe it stands in, the first of them the usual one, and its own."""

    names: tuple[str, ...]
    field: str
    value: Any
    put: Callable[[Any], Method]

    @property
    def path(self) -> str:
        """How to name it."""
        return f"{self.names[0]}.{self.field}"

    def check(self, value: Plain) -> Plain:
        """`value` as the recipe takes it. Raises `ValueError` with a sentence."""
        for name in self.names:
            setting = _settings(name).get(self.field)
            if setting is not None:
                return setting.validate(value)
        kind = type(self.value)
        if kind is float and type(value) is int:
            return float(value)
        if self.value is not None and type(value) is not kind:
            raise ValueError(f"it should be a {kind.__name__}")
        return value


def places(method: Method) -> list[Place]:
    """All that can be changed, those of an outer recipe before those inside it."""
    found = list(_of_recipe(("schedule",), method.schedule, lambda new: replace(method, schedule=_spaced(new))))
    found += _of_sampler(method)
    found += _of_guidance(("guidance",), method.guidance, lambda new: replace(method, guidance=new))
    for index, patch in enumerate(method.model.patches):

        def put(new: Any, index: int = index) -> Method:
            patches = method.model.patches
            return replace(method, model=replace(method.model, patches=(*patches[:index], new, *patches[index + 1 :])))

        found += _of_recipe(_names(patch), patch, put)
    return found


def changed(method: Method, setting: str, value: Plain) -> Method:
    """`method` with the `value` of `setting`, and named after it. Raises `NodeError` where it has no such setting, or
    the setting no such value."""
    place = _find(method, setting)
    try:
        checked = place.check(value)
    except ValueError as error:
        raise NodeError(f"{setting} of {method.name} cannot be {value!r}: {error}.") from None
    return replace(place.put(checked), name=f"{method.name}, {described(place.field, value)}")


def described(field: str, value: Plain) -> str:
    """`value` of `field` in words."""
    text = str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
    return f"{text} step{'s' * (value != 1)}" if field == "steps" else f"{field.replace('_', ' ')} {text}"


def _find(method: Method, setting: str) -> Place:
    *recipe, field = setting.strip().split(".")
    every = places(method)
    fitting = [place for place in every if place.field == field and (not recipe or ".".join(recipe) in place.names)]
    paths = list(dict.fromkeys(place.path for place in every))
    meant = list(dict.fromkeys(place.path for place in fitting))
    if fitting and (recipe or len(meant) == 1):
        return fitting[0]
    if fitting:
        raise NodeError(f"{setting} of {method.name} is one of {', '.join(meant)}; say which.")
    near = closest(setting, [*paths, *(place.field for place in every)])
    hint = f" Did you mean {near}?" if near else ""
    raise NodeError(f"{method.name} has no {setting} to sweep.{hint} It has {', '.join(paths)}.")


def _of_recipe(names: tuple[str, ...], recipe: Any, put: Callable[[Any], Method]) -> Iterator[Place]:
    for field in fields(recipe):
        value = getattr(recipe, field.name)
        if value is None or isinstance(value, bool | int | float | str):
            yield Place(names, field.name, value, lambda new, name=field.name: put(replace(recipe, **{name: new})))


def _of_guidance(names: tuple[str, ...], guidance: Guidance, put: Callable[[Any], Method]) -> list[Place]:
    found = list(_of_recipe((*names, *_names(guidance)), guidance, put))
    for field in fields(guidance):
        inner = getattr(guidance, field.name)
        if isinstance(inner, Guidance):
            found += _of_guidance(names, inner, lambda new, name=field.name: put(replace(guidance, **{name: new})))
    return found


def _of_sampler(method: Method) -> Iterator[Place]:
    sampler = method.sampler or Sampler("")

    def named(name: str) -> Method:
        options = tuple(option for option in sampler.options if option[0] in SAMPLERS[name].options)
        return replace(method, sampler=replace(sampler, name=name, options=options))

    yield Place(("sampler",), "name", sampler.name, named)
    if method.sampler is None:
        return
    for place in _of_recipe(("sampler", "inject_noise"), sampler, lambda new: replace(method, sampler=new)):
        if place.field != "name":
            yield place
    for option, usual in SAMPLERS[sampler.name].options.items():

        def put(value: Any, option: str = option) -> Method:
            options = tuple(sorted({**dict(sampler.options), option: value}.items()))
            return replace(method, sampler=replace(sampler, options=options))

        yield Place(("sampler",), option, dict(sampler.options).get(option, usual), put)


def _spaced(schedule: Any) -> Any:
    """Timesteps that are given one by one have no other number, and no spacing."""
    return replace(schedule, timesteps=())


def _names(recipe: Any) -> tuple[str, ...]:
    """What a recipe is called: the file it stands in, the nodes that make it, and its class in snake case."""
    kind = type(recipe)
    package, _, file = kind.__module__.rpartition(".")
    makers = [
        name
        for name, module in NODES.items()
        if f"{_NODES}.{module}".rpartition(".")[0] == package
        and getattr(sys.modules.get(f"{_NODES}.{module}"), kind.__name__, None) is kind
    ]
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind.__name__).lower()
    return tuple(dict.fromkeys((file, *makers, snake)))


def _settings(name: str) -> dict[str, Any]:
    """The settings of the node `name`, with their limits; none where there is no such node."""
    if name not in NODES:
        return {}
    return declaration(getattr(import_module(f"{_NODES}.{NODES[name]}"), name)).settings
