"""How many rows are denoised together: as many as make each of them quicker, and as memory bears."""

from __future__ import annotations

import gc
import sys
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from ...graph.call import Made
from ...nodes.models import runtime
from ..memory import explain

MOST_ON_CPU, MOST_ON_GPU = 16, 64
"""More together gain next to nothing, and results come late."""

_GAIN = 0.97
"""Of the quickest time for a row so far, a larger size must reach at most this to be worth its memory."""

_SHARE = 0.7
"""Of free memory, which a size may fill: other programs and the allocator need some too."""


@dataclass
class _Size:
    most: int = 1
    limit: int = MOST_ON_GPU
    quickest: float = float("inf")


class Growing:
    """Doubles from 1 while rows become quicker, and is halved when memory runs out; each kind of call by itself.

    With `at_once` no more than that.
    """

    def __init__(self, at_once: int | None = None) -> None:
        self._at_once = at_once
        self._sizes: dict[Hashable, _Size] = {}

    def most(self, kind: Hashable) -> int:
        return self._size(kind).most

    def made(self, kind: Hashable, made: Sequence[Made]) -> None:
        size, count = self._size(kind), len(made)
        if count < size.most:
            return
        seconds = sum(each.seconds for each in made) / count
        if seconds > _GAIN * size.quickest:
            return
        size.quickest = seconds
        if 2 * count <= size.limit and _fits(made):
            size.most = 2 * count

    def failed(self, kind: Hashable, count: int, error: Exception) -> bool:
        if explain(error) is None:
            return False
        size = self._size(kind)
        size.limit = size.most = max(1, count // 2)
        make_room()
        return True

    def _size(self, kind: Hashable) -> _Size:
        if kind not in self._sizes:
            limit = MOST_ON_CPU if _device() == "cpu" else MOST_ON_GPU
            self._sizes[kind] = _Size(limit=min(limit, self._at_once or limit))
        return self._sizes[kind]


def make_room() -> None:
    """Let go of all memory that nobody needs this moment."""
    gc.collect()
    if "torch" in sys.modules:
        from ...nodes.models.live import POOL

        POOL.clear()


def _fits(made: Sequence[Made]) -> bool:
    """Whether twice as many would fit into what is free, by what these took; where that is not known, they may."""
    report = getattr(made[0].value, "report", None)
    memory = getattr(report, "memory", None)
    if memory is None:
        return True
    placed = runtime.place(runtime.settings)
    taken = memory
    if placed.device.type == "cuda":
        import torch

        taken = memory - torch.cuda.memory_allocated(placed.device)  # what was taken for these rows alone
    return 2 * taken <= _SHARE * runtime.free_memory(placed.device)


def _device() -> str:
    return runtime.place(runtime.settings).device.type if "torch" in sys.modules else "cpu"
