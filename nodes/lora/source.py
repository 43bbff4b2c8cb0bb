"""A LoRA in a file, as the layers of a model it changes. What is not understood is refused, never left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ...graph.node import NodeError
from ..models.layouts import LAYOUTS
from .change import Change, Changes, Decomposed, Hadamard, Kronecker, LowRank, Whole
from .lora import Lora
from .naming import Place, places
from .reading import Raw, layers, read
from .skeleton import skeleton

if TYPE_CHECKING:
    from torch import Tensor

_SHOWN = 3


@dataclass(frozen=True)
class LoraFile(Lora):
    """What a file or folder holds; `fingerprint` changes when that does."""

    source: str
    fingerprint: str = ""

    def load(self) -> Changes:
        """Raises `NodeError` where something in it is not understood or does not fit the model."""
        return _load(self)


@lru_cache(maxsize=8)
def _load(lora: LoraFile) -> Changes:
    raw, shapes = read(Path(lora.source)), skeleton(lora.model)
    found, unknown = layers(raw.tensors)
    known = places(found, lora.model, shapes)
    if lora.model.family == "flux" and (unknown or len(known) < len(found)):
        raw = _of_original_flux(lora, raw, found, unknown)
        found, unknown = layers(raw.tensors)
        known = places(found, lora.model, shapes)
    lost = [name for name in found if name not in known]
    problems = []
    if unknown:
        problems.append(f"{lora.source} holds {_some(unknown)}, which are no part of a LoRA that is understood.")
    if lost:
        problems.append(
            f"{lora.source} changes {_some(lost)}, which {lora.model.source} "
            f"({LAYOUTS[lora.model.family].title}) does not have."
        )
    changes: dict[str, dict[str, Change]] = {}
    misfits = []
    for name, place in known.items():
        part, module = place
        try:
            change = _change(raw, name, place, found[name])
            fits = isinstance(change, str) or change.fits(shapes[part][module])
        except (IndexError, TypeError, RuntimeError, ValueError):  # tensors with too few or too many dimensions
            change, fits = f"has tensors of shapes that no change has: {_shapes(found[name])}.", True
        if isinstance(change, str):
            problems.append(f"{lora.source}: {name} {change}")
        elif not fits:
            misfits.append(f"{part}.{module}")
        elif module in changes.get(part, {}):
            problems.append(f"{lora.source} changes {part}.{module} twice, once as {name}.")
        else:
            changes.setdefault(part, {})[module] = change
    if misfits:
        problems.append(f"{lora.source} is for layers of other sizes than {lora.model.source} has: {_some(misfits)}.")
    if not found and not unknown:
        problems.append(f"{lora.source} is empty.")
    if problems:
        raise NodeError("\n".join(problems[:20]))
    return changes


def _change(raw: Raw, name: str, place: Place, given: Mapping[str, Tensor]) -> Change | str:
    """How the layer `name` changes, or what is wrong with it, as the end of a sentence."""
    fields, alpha = set(given) - {"alpha"}, given.get("alpha")
    magnitude = given.get("magnitude", given.get("dora_scale"))

    def scale(rank: int) -> float:
        return raw.scale(name, place[0], rank, alpha)

    if {"down", "up"} <= fields <= {"down", "up", "magnitude", "dora_scale"}:
        down, up = given["down"], given["up"]
        plain = LowRank(down, up, scale(len(down)))
        if magnitude is None:
            return plain
        by_input = "dora_scale" in given and magnitude.ndim > 1 and magnitude.shape[0] == 1 != len(up)
        return Decomposed(plain.down, plain.up, plain.scale, magnitude, by_input)
    if magnitude is not None:
        return "is decomposed (DoRA), but no LoRA of two factors, and is not read."
    if {"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"} <= fields:
        first, second = (
            tuple(given[key] for key in (f"hada_w{i}_a", f"hada_w{i}_b", f"hada_t{i}") if key in given) for i in (1, 2)
        )
        return Hadamard(first, second, scale(len(given["hada_w1_b"])))
    if any(field.startswith("lokr_") for field in fields):
        first = _factors(given, "lokr_w1", ())
        second = _factors(given, "lokr_w2", ("lokr_t2",))
        if not first or not second:
            return f"lacks a factor of its Kronecker product: it has {', '.join(sorted(fields))}."
        product = second if len(second) > 1 else first
        return Kronecker(first, second, scale(len(product[1]) if len(product) > 1 else 0))
    if fields == {"diff"}:
        return Whole(given["diff"])
    return f"has {', '.join(sorted(fields)) or 'no weights'}, which together are no change that is understood."


def _factors(given: Mapping[str, Tensor], name: str, cores: tuple[str, ...]) -> tuple[Tensor, ...]:
    if name in given:
        return (given[name],)
    keys = (f"{name}_a", f"{name}_b")
    return tuple(given[key] for key in (*keys, *(c for c in cores if c in given))) if set(keys) <= set(given) else ()


def _of_original_flux(lora: LoraFile, raw: Raw, found: Mapping[str, object], unknown: list[str]) -> Raw:
    """`raw` by diffusers' names, as its converters for Flux have it: their layers are joined and split on the way."""
    from diffusers.loaders.lora_pipeline import FluxLoraLoaderMixin

    kinds = [
        name for name in raw.tensors if any(word in name for word in ("dora_scale", "magnitude", "hada_", "lokr_"))
    ]
    if kinds:
        raise NodeError(
            f"{lora.source} has DoRA, LoHa or LoKr layers by the names of Flux's original code ({_some(kinds)}), which "
            "join several layers of diffusers' Flux; only plain LoRA can be taken apart. Convert it where it was made."
        )
    try:
        converted = FluxLoraLoaderMixin.lora_state_dict(dict(raw.tensors))
    except Exception as error:  # whatever a stranger's names make the converters stumble over
        raise NodeError(
            f"{lora.source} changes {_some([*found, *unknown])}, which is no LoRA of Flux: {error}"
        ) from error
    return replace(raw, tensors=converted)


def _shapes(given: Mapping[str, Tensor]) -> str:
    return ", ".join(f"{field} {tuple(value.shape)}" for field, value in sorted(given.items()))


def _some(names: list[str]) -> str:
    left = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {left} more" if left > 0 else "")
