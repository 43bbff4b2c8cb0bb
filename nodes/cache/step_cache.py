"""What all methods share that run only a part of the denoiser at some steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...graph.node import NodeError
from ..models.call import Call, current
from ..types import Conditioning, Model, Patch


class StepCache(Patch):
    """A patch that decides what of the denoiser runs. Two of them would contradict each other."""


@dataclass(frozen=True)
class Counts:
    """What a run's report calls the times that hooked modules ran and did not."""

    computed: str
    saved: str


def added(model: Model, patch: StepCache, method: str) -> Model:
    """`model` with `patch`. Raises `NodeError` where another patch already decides what runs."""
    others = [type(other).__name__ for other in model.patches if isinstance(other, StepCache)]
    if others:
        raise NodeError(
            f"{method} and {others[0]} both decide what of the denoiser runs at a step; give a model one of them."
        )
    return replace(model, patches=(*model.patches, patch))


@dataclass(frozen=True, eq=False)
class _Pass:
    """What was kept of one pass: `tensors`, whose rows are equally many for each of `branches`, of evaluation `at`."""

    branches: tuple[Conditioning, ...]
    tensors: tuple[Tensor, ...]
    at: int

    def holds(self, rows: int, branches: int) -> bool:
        """Whether a call with `rows` for as many `branches` has as many for each."""
        return rows * len(self.branches) == self.tensors[0].shape[0] * branches


class PerBranch:
    """Tensors (B, ...) of a run, kept for each branch by itself: a guidance may ask for fewer branches than before, or
    for some of a step in a pass of their own."""

    def __init__(self) -> None:
        self._passes: list[_Pass] = []
        self._run: Any = None

    def put(self, branches: Sequence[Conditioning], tensors: Sequence[Tensor]) -> None:
        """Keep `tensors`, whose rows are equally many for each of `branches`, in order. Other branches stay."""
        run, at = _now()
        others = self._passes if run is self._run else []
        asked = {id(branch) for branch in branches}
        self._run = run
        self._passes = [each for each in others if asked.isdisjoint(map(id, each.branches))]
        self._passes.append(_Pass(tuple(branches), tuple(tensors), at))

    def get(self, branches: Sequence[Conditioning], rows: int, since: int = 0) -> tuple[Tensor, ...] | None:
        """What was kept for `branches` at evaluation `since` or later; `None` where one is missing, or the call has
        another number of `rows`."""
        if _now()[0] is not self._run:
            return None
        ready = [each for each in self._passes if each.at >= since and each.holds(rows, len(branches))]
        for each in ready:
            if each.branches == tuple(branches):
                return each.tensors
        chosen: list[tuple[Tensor, ...]] = []
        for branch in branches:
            found = next((each for each in ready if branch in each.branches), None)
            if found is None:
                return None
            place, count = found.branches.index(branch), len(found.branches)
            chosen.append(tuple(tensor.chunk(count)[place] for tensor in found.tensors))
        return tuple(torch.cat(rows_of) for rows_of in zip(*chosen, strict=True))


def count(call: Call | None, what: str, times: int = 1) -> None:
    """Count in the run's report, where there is a run."""
    if call is not None:
        call.counts[what] += times


def _now() -> tuple[Any, int]:
    """The run under way, and which of its evaluations; outside of a run all is one."""
    call = current()
    return (None, 0) if call is None else (call.steps, call.at)
