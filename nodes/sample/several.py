"""Runs of `denoise` for several rows of a batch, made as one: their pictures side by side, split again at the end.

A picture must be what it is alone. So only such runs go together as differ in noise, prompts, latents and masks alone,
and whose guidance and patches look at each picture by itself: those that decide by a mean over the batch do not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ...graph.node import Arguments
from ...graph.progress import Progress
from ..types import Conditioning, Guidance, Latent, Mask, Model, Noise, Patch, Report

if TYPE_CHECKING:
    from torch import Tensor


class Denoised(NamedTuple):
    """A latent and what it took to make it."""

    latent: Latent
    report: Report


_PER_PICTURE = ("noise", "positive", "negative", "latent", "mask")


def alike(given: Arguments) -> Hashable | None:
    """Equal for calls of `denoise` that can be made as one; None for one that cannot."""
    model, guidance = given["model"], given["guidance"]
    if given["count_flops"] or not _by_picture(model, guidance):
        return None
    shapes = tuple(_shape(given[name]) for name in _PER_PICTURE)
    others = tuple(value for name, value in given.items() if name not in (*_PER_PICTURE, "progress"))
    return shapes, others


def together(denoise: Callable[..., Denoised], calls: Sequence[Arguments]) -> list[Denoised]:
    """What `denoise` gives for each of `calls`, which are alike. Each report tells its share of the time."""
    counts = [len(call["noise"].samples) for call in calls]
    joined = {name: _joined([call[name] for call in calls], counts) for name in _PER_PICTURE}
    progresses = [call["progress"] for call in calls]
    made = denoise(**{**calls[0], **joined, "progress": _shared(progresses)})
    share = len(calls)
    report = dataclasses.replace(
        made.report,
        seconds=tuple(seconds / share for seconds in made.report.seconds),
        total_seconds=made.report.total_seconds / share,
    )
    parts = made.latent.samples.split(counts)
    return [Denoised(Latent(part.clone(), made.latent.sigma), report) for part in parts]


def _by_picture(model: Model, guidance: Guidance | None) -> bool:
    recipes: list[Guidance | Patch] = [*model.patches, *([] if guidance is None else [guidance])]
    while recipes:
        recipe = recipes.pop()
        if not recipe.by_picture:
            return False
        held = (getattr(recipe, field.name) for field in dataclasses.fields(recipe))
        recipes += [part for part in held if isinstance(part, Guidance | Patch)]
    return True


def _shape(value: Any) -> Hashable:
    """What must be equal for values to be joined: their shapes but for the number of pictures."""
    if value is None:
        return None
    if isinstance(value, Conditioning):
        return tuple(None if part is None else part.shape[1:] for part in (value.tokens, value.pooled, value.mask))
    if isinstance(value, Latent):
        return value.samples.shape[1:], value.sigma
    return (value.samples if isinstance(value, Noise) else value.values).shape[1:]


def _joined(values: Sequence[Any], counts: Sequence[int]) -> Any:
    """`values` of one kind as one of all pictures; what is the same for all is left as it is."""
    first = values[0]
    if isinstance(first, Noise):
        seeds = tuple(seed for noise in values for seed in noise.seeds)
        return Noise(_rows([noise.samples for noise in values], counts), seeds)
    if all(value is first for value in values) and _single(first):
        return first
    if isinstance(first, Conditioning):
        tokens = _rows([value.tokens for value in values], counts)
        others = ([getattr(value, name) for value in values] for name in ("pooled", "mask"))
        return Conditioning(tokens, *(None if part[0] is None else _rows(part, counts) for part in others))
    if isinstance(first, Latent):
        return Latent(_rows([latent.samples for latent in values], counts), first.sigma)
    return Mask(_rows([mask.values for mask in values], counts))


def _single(value: Any) -> bool:
    """Whether there is one for all pictures."""
    if isinstance(value, Conditioning):
        return len(value.tokens) == 1
    return value is None or len(value.samples if isinstance(value, Latent) else value.values) == 1


def _rows(tensors: Sequence[Tensor], counts: Sequence[int]) -> Tensor:
    import torch

    return torch.cat(
        [
            tensor if len(tensor) == count else tensor.expand(count, *tensor.shape[1:])
            for tensor, count in zip(tensors, counts, strict=True)
        ]
    )


def _shared(progresses: Sequence[Progress]) -> Progress:
    """Tells all of `progresses`, and stops where one of them does."""

    def step(done: int, total: int, label: str, preview: Any) -> None:
        for progress in progresses:
            progress.step(done, total, label)

    def note(facts: dict[str, Any]) -> None:
        for progress in progresses:
            progress.note(**{**facts, "together": len(progresses)})

    return Progress(step, note)
