"""LoRAs merged into one."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import torch

from ...graph.node import NodeError
from ...graph.progress import QUIET, Progress
from .change import Change, Changes, Decomposed, LowRank
from .lora import Lora
from .merging import EQUAL_RANKS, ON_FACTORS, How, merged
from .skeleton import skeleton


@dataclass(frozen=True)
class MergedLora(Lora):
    """`each` weighed by its `weights`, merged as `how` says; `seed` is for what is random in that."""

    each: tuple[Lora, ...]
    weights: tuple[float, ...]
    how: How
    seed: int = 0

    def load(self, progress: Progress = QUIET) -> Changes:
        """Raises `NodeError` for what the method cannot merge."""
        found = _kept.get(self)
        if found is None:
            found = _kept[self] = _merge(self, progress)
            while len(_kept) > _MOST:
                _kept.pop(next(iter(_kept)))
        return found


_MOST = 4
_kept: dict[MergedLora, Changes] = {}
"""The last few that were merged, the oldest first."""


def _merge(lora: MergedLora, progress: Progress) -> Changes:
    """Layers are merged alone: those that not every LoRA changes, of the LoRAs that change them."""
    found = [each.load() for each in lora.each]
    places = list(dict.fromkeys((part, name) for changes in found for part in changes for name in changes[part]))
    shapes = skeleton(lora.model)
    problems = [sentence for place in places if (sentence := _unfit(lora, found, place))]
    if problems:
        shown = "\n".join(problems[:10])
        raise NodeError(f"{shown}\nAnd {len(problems) - 10} more." if len(problems) > 10 else shown)
    result: dict[str, dict[str, Change]] = {}
    for number, (part, name) in enumerate(places):
        progress.step(number, len(places), f"merging {part}.{name}")
        mine = [
            (changes[part][name], weight)
            for changes, weight in zip(found, lora.weights, strict=True)
            if name in changes.get(part, {})
        ]
        with torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.no_grad():
            # of the layer's name, so that its random choice does not depend on which other layers there are
            torch.manual_seed(lora.seed * 1_000_003 + zlib.crc32(f"{part}.{name}".encode()))
            shape = shapes[part][name]
            result.setdefault(part, {})[name] = merged([c for c, _ in mine], [w for _, w in mine], shape, lora.how)
    return result


def _unfit(lora: MergedLora, found: list[Changes], place: tuple[str, str]) -> str:
    """Why the changes of this layer cannot be merged so; empty where they can."""
    part, name = place
    changes = [each[part][name] for each in found if name in each.get(part, {})]
    method = lora.how.method
    if any(isinstance(change, Decomposed) for change in changes):
        return f"{part}.{name} is decomposed (DoRA): what it adds depends on the model's weights, and cannot be summed."
    if method in ON_FACTORS and not all(isinstance(change, LowRank) for change in changes):
        return f"{part}.{name} is no LoRA of two factors, which {method} works on; take svd or task_arithmetic."
    if method in EQUAL_RANKS and len({change.rank for change in changes}) > 1:
        ranks = " and ".join(str(change.rank) for change in changes)
        return f"{part}.{name} has the ranks {ranks}, and {method} takes equal ones; take {_other(method)}."
    return ""


def _other(method: str) -> str:
    return "cat or svd" if method == "linear" else f"{method}_svd"
