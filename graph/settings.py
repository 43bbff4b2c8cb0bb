"""The settings of one node: those the file gives and the defaults of the rest, checked against their types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .files import FileMissing, FileRefused, Files, Reads, Writes
from .node import Declaration, Setting
from .problems import Hints, Problem, listed, quoted


def resolve(
    node: str, given: Mapping[str, Any], declared: Declaration, files: Files | None, hints: Hints
) -> tuple[dict[str, Any], list[Problem]]:
    """The settings of `node` as its function takes them, and what is wrong with them."""
    problems = [unknown(node, name, declared, hints) for name in given if name not in declared.settings]
    values: dict[str, Any] = {}
    for name, setting in declared.settings.items():
        if name in given:
            problems += take(node, setting, given[name], files, values)
        elif setting.required:
            about = f" ({setting.description})" if setting.description else ""
            sentence = f"Node {quoted(node)}: the setting {quoted(name)}{about} has no value, and needs one."
            problems.append(Problem(sentence, node, setting=name))
        else:
            values[name] = setting.default
            problems += _path_problems(node, setting, values[name], files)
    return values, problems


def take(node: str, setting: Setting, given: Any, files: Files | None, values: dict[str, Any]) -> list[Problem]:
    """Put what `given` is to the function of `node` into `values`; what is wrong with it."""
    try:
        values[setting.name] = setting.validate(given)
    except ValueError as error:
        sentence = f"Node {quoted(node)}: {setting.name} = {_shown(given)}: {error}{_range(setting)}."
        return [Problem(sentence, node, setting=setting.name)]
    return _path_problems(node, setting, values[setting.name], files)


def _path_problems(node: str, setting: Setting, value: Any, files: Files | None) -> list[Problem]:
    sentences = () if files is None else _path_faults(setting, value, files)
    return [
        Problem(f"Node {quoted(node)}: {setting.name}: {sentence}", node, setting=setting.name)
        for sentence in sentences
    ]


def read_paths(setting: Setting, value: Any) -> Iterator[tuple[Reads, str]]:
    """The paths `value` names for reading."""
    for marker in setting.markers(Reads):
        yield from ((marker, path) for path in _paths(value))


def _path_faults(setting: Setting, value: Any, files: Files) -> Iterator[str]:
    for marker, path in read_paths(setting, value):
        try:
            files.find(path, marker.kind)
        except FileRefused as error:
            if not (marker.elsewhere and isinstance(error, FileMissing)):
                yield str(error)
    if setting.markers(Writes):
        for path in _paths(value):
            try:
                files.place(path)
            except FileRefused as error:
                yield str(error)


def _paths(value: Any) -> list[str]:
    return [path for path in (value if isinstance(value, list | tuple) else [value]) if isinstance(path, str)]


def unknown(node: str, name: str, declared: Declaration, hints: Hints) -> Problem:
    """What is wrong with a setting that `node` does not have."""
    if name in declared.inputs:
        needs = declared.inputs[name].type_names
        hint = f" {quoted(name)} is an input: it takes a wire that carries {needs}."
    else:
        hint = hints.did_you_mean(name, declared.settings)
        if not hint:
            has = listed(map(quoted, declared.settings))
            hint = f" It has {has}." if has else " It has none."
    return Problem(f"Node {quoted(node)} ({declared.name}) has no setting {quoted(name)}.{hint}", node, setting=name)


def _range(setting: Setting) -> str:
    """The limits of a number, both where it has both: an error from pydantic tells only the one that was crossed."""
    schema = setting.schema
    least, most = schema.get("minimum"), schema.get("maximum")
    return f" (from {least} to {most})" if least is not None and most is not None else ""


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return quoted(value)
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:80] + "…"
