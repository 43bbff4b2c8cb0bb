"""What all methods share that run only a part of the denoiser at some steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ...graph.node import NodeError
from ..models.call import Call
from ..types import Conditioning, Model, Patch

if TYPE_CHECKING:
    from torch import nn


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


class PerBranch:
    """Tensors (B, ...) of the last full step, kept for each branch by itself: a guidance may ask for fewer branches."""

    def __init__(self) -> None:
        self._branches: tuple[Conditioning, ...] = ()
        self._whole: tuple[Tensor, ...] = ()

    def put(self, branches: Sequence[Conditioning], tensors: Sequence[Tensor]) -> None:
        """Keep `tensors`, whose rows are equally many for each of `branches`, in order."""
        self._branches, self._whole = tuple(branches), tuple(tensors)

    def get(self, branches: Sequence[Conditioning], rows: int) -> tuple[Tensor, ...] | None:
        """What was kept for `branches`; `None` where one is missing, or the call has another number of `rows`."""
        if not self._branches or rows * len(self._branches) != self._whole[0].shape[0] * len(branches):
            return None
        if tuple(branches) == self._branches:
            return self._whole
        places = [next((i for i, kept in enumerate(self._branches) if kept is each), None) for each in branches]
        if None in places:
            return None
        chunks = [tensor.chunk(len(self._branches)) for tensor in self._whole]
        return tuple(torch.cat([each[place] for place in places if place is not None]) for each in chunks)


@contextmanager
def forward_replaced(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """`module` computes `forward` while the context lasts; then what it computed before."""
    before = module.__dict__.get("forward")
    module.forward = forward
    try:
        yield
    finally:
        if before is None:
            del module.forward
        else:
            module.forward = before


def count(call: Call | None, what: str, times: int = 1) -> None:
    """Count in the run's report, where there is a run."""
    if call is not None:
        call.counts[what] += times
