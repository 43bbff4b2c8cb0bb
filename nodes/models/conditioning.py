"""Several conditionings as one batch for the denoiser."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...graph.node import NodeError
from ..types import Conditioning, Noise

_KEPT = 8
"""How many different sets of branches are kept on the device during a run."""


class Told:
    """What the network is told beside the sample, by the branches: the same at every step, so made once and kept."""

    def __init__(self, make: Callable[[Sequence[Conditioning]], dict[str, Any]]) -> None:
        self._make = make
        self._kept: dict[tuple[int, ...], tuple[tuple[Conditioning, ...], dict[str, Any]]] = {}

    def __call__(self, branches: Sequence[Conditioning]) -> dict[str, Any]:
        # The branches are kept too, so that no id is taken by another.
        key = tuple(id(branch) for branch in branches)
        if key not in self._kept:
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[key] = (tuple(branches), self._make(branches))
        return self._kept[key][1]


def batch(branches: Sequence[Conditioning], images: int) -> tuple[Tensor, Tensor | None]:
    """Tokens (branches * images, L, D) and pooled (branches * images, P), branch by branch.

    Prompts of different lengths are made equally long by repeating each to the least common multiple: attention over
    keys and values that are all repeated equally often is the attention over them once, so nothing else changes
    (ComfyUI does this too, `CONDCrossAttn` in comfy/conds.py). That holds where the prompt alone is attended to.
    """
    length = math.lcm(*(branch.tokens.shape[1] for branch in branches))
    tokens = [branch.tokens.repeat(1, length // branch.tokens.shape[1], 1) for branch in branches]
    pooled = [branch.pooled for branch in branches if branch.pooled is not None]
    if len(pooled) not in (0, len(branches)) or len({t.shape[-1] for t in tokens}) > 1:
        raise NodeError("The prompts were encoded with models of different families; encode all with one model.")
    return rows(tokens, images), rows(pooled, images) if pooled else None


def by_length(
    branches: Sequence[Conditioning], run: Callable[[Sequence[Conditioning]], Sequence[Tensor]]
) -> tuple[Tensor, ...]:
    """`run` once for all branches whose prompts are equally long, its results in the order of `branches`.

    Where picture and prompt are one sequence, repeating a prompt would weigh it against the picture.
    """
    lengths = [branch.tokens.shape[1] for branch in branches]
    if len(set(lengths)) == 1:
        return tuple(run(branches))
    found: dict[int, Tensor] = {}
    for length in dict.fromkeys(lengths):
        places = [place for place, other in enumerate(lengths) if other == length]
        found |= zip(places, run([branches[place] for place in places]), strict=True)
    return tuple(found[place] for place in range(len(branches)))


def check_prompts(images: int, **given: Conditioning | None) -> None:
    """Raises `NodeError` for a condition of another number of prompts than one, or one for each of the `images`."""
    for name, condition in given.items():
        if condition is not None and len(condition.tokens) not in (1, images):
            raise NodeError(f"{name} has {len(condition.tokens)} prompts for {images} noises; give one, or as many.")


def _prompts(given: Conditioning, rows: slice, images: int) -> Conditioning:
    """The prompts of the `rows` of all `images`; one prompt for all stays what it is."""
    if len(given.tokens) != images or (rows.start == 0 and rows.stop >= images):
        return given
    pooled, mask = (None if part is None else part[rows] for part in (given.pooled, given.mask))
    return Conditioning(given.tokens[rows], pooled, mask)


def part_of(value: Any, rows: slice, images: int) -> Any:
    """What of `value` belongs to the `rows` of all `images`, where it is or holds conditions or noises; else itself."""
    if isinstance(value, Conditioning):
        return _prompts(value, rows, images)
    if isinstance(value, Noise):
        return Noise(value.samples[rows].clone(), value.seeds[rows])
    if isinstance(value, tuple):
        several = tuple(part_of(each, rows, images) for each in value)
        return value if all(ours is each for ours, each in zip(several, value, strict=True)) else several
    if not is_dataclass(value) or isinstance(value, type):
        return value
    held = {field.name: getattr(value, field.name) for field in fields(value) if field.init}
    parts = {name: part_of(each, rows, images) for name, each in held.items()}
    return value if all(parts[name] is each for name, each in held.items()) else replace(value, **parts)


def rows(tensors: Sequence[Tensor], images: int) -> Tensor:
    """Tensors of one row, or of one for each image, as one with a row for each image of each."""
    return torch.cat([_each(tensor, images) for tensor in tensors])


def _each(rows: Tensor, images: int) -> Tensor:
    if rows.shape[0] not in (1, images):
        raise NodeError(f"There are {rows.shape[0]} prompts for {images} images; give one, or one for each.")
    return rows if rows.shape[0] == images else rows.repeat(images, *([1] * (rows.ndim - 1)))
