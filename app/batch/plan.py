"""What the rows of a batch are: settings of each, by its number, made when they are asked for."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...graph.problems import Problem, Refused, did_you_mean, listed, quoted
from . import ranges
from .table import Rows

Typed = Callable[[str, Any], Any]
"""A value as the setting of this name takes it, of the text it was written as."""


@dataclass(frozen=True)
class Plan:
    """`zipped` values belong to one row after another, all equally many; each of those rows is made with every
    combination of the `crossed` values, the last changing first."""

    zipped: Mapping[str, Sequence[Any]]
    crossed: Mapping[str, Sequence[Any]]
    typed: Typed = field(default=lambda key, value: value, compare=False)

    @property
    def count(self) -> int:
        return self.base * math.prod(len(values) for values in self.crossed.values())

    @property
    def base(self) -> int:
        return min((len(values) for values in self.zipped.values()), default=1)

    @property
    def keys(self) -> tuple[str, ...]:
        """The settings that rows have."""
        return (*self.zipped, *self.crossed)

    def settings(self, number: int) -> dict[str, Any]:
        """The settings of row `number`, from 0, by `node.setting`."""
        chosen: dict[str, Any] = {}
        for key, values in reversed(list(self.crossed.items())):
            number, place = divmod(number, len(values))
            chosen[key] = values[place]
        found = {key: values[number] for key, values in self.zipped.items()}
        found |= {key: chosen[key] for key in self.crossed}
        return {key: self.typed(key, value) for key, value in found.items()}


def plan(
    rows: Rows | None,
    assignments: Sequence[str],
    zips: Sequence[str],
    products: Sequence[str],
    typed: Typed,
) -> tuple[Plan, list[str]]:
    """The rows that were asked for, and those of `assignments` that are the same for all. Raises `Refused`.

    An assignment `node.setting=@column` takes its values from a column of `rows`.
    """
    problems: list[Problem] = []
    same, zipped, crossed = [], {}, {}
    for assignment in assignments:
        key, _, value = (part.strip() for part in assignment.partition("="))
        if not value.startswith("@"):
            same.append(assignment)
        elif rows is None:
            problems.append(Problem(f"--set {quoted(assignment)} takes a column, and there are no --rows."))
        elif (column := value[1:]) in rows.columns:
            zipped[key] = rows.columns[column]
        else:
            hint = did_you_mean(column, rows.columns) or f" There are {listed(rows.columns) or 'none'}."
            problems.append(Problem(f"--set {quoted(assignment)}: the rows have no column {quoted(column)}.{hint}"))
    for option, texts, into in (("--zip", zips, zipped), ("--product", products, crossed)):
        for text in texts:
            key, sign, value = (part.strip() for part in text.partition("="))
            try:
                if not sign:
                    raise ValueError("write it node.setting=VALUES.")
                if key in zipped or key in crossed:
                    raise ValueError(f"{quoted(key)} has values already.")
                into[key] = ranges.values(value)
            except ValueError as error:
                problems.append(Problem(f"{option} {quoted(text)}: {error}"))
    lengths = {key: len(values) for key, values in zipped.items()}
    if rows is not None:
        lengths = {"--rows": rows.count, **lengths}
    if len(set(lengths.values())) > 1:
        counted = listed(f"{key} has {length}" for key, length in lengths.items())
        problems.append(Problem(f"What goes row by row must be equally long: {counted}."))
    if rows is not None and not rows.count:
        problems.append(Problem("--rows holds no row."))
    if rows is not None and not any(value.partition("=")[2].strip().startswith("@") for value in assignments):
        columns = listed(rows.columns)
        problems.append(Problem(f"No --set takes a column of --rows: write --set node.setting=@COLUMN of {columns}."))
    if problems:
        raise Refused(problems)
    return Plan(zipped, crossed, typed), same


def digest(settings: Mapping[str, Any]) -> str:
    """Short, and equal for equal settings."""
    text = json.dumps(settings, sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
