"""Which evaluation of the denoiser is under way, for patches that do different things at different steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..types import Conditioning

if TYPE_CHECKING:
    from ..guidance.guide import Step


@dataclass(frozen=True, eq=False)
class Call:
    """One call of the denoiser in a run: the sample's rows are `images` for each of `branches`, in order.

    `steps` are the evaluations of the run, of which this is number `at`. What a patch did is counted in `counts`, and
    what it found noted in `notes`; both are told in the run's report. `scheduler` is the class of diffusers that takes
    the steps.
    """

    steps: Sequence[Step]
    at: int
    branches: tuple[Conditioning, ...]
    counts: Counter[str]
    scheduler: str = ""
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def step(self) -> Step:
        return self.steps[self.at]


_under_way: ContextVar[Call | None] = ContextVar("call of the denoiser", default=None)


@contextmanager
def under_way(call: Call) -> Iterator[None]:
    """`call` is what `current` gives while the context lasts."""
    token = _under_way.set(call)
    try:
        yield
    finally:
        _under_way.reset(token)


@contextmanager
def narrowed(branches: Sequence[Conditioning]) -> Iterator[None]:
    """The call under way, if there is one, is for `branches` alone while the context lasts."""
    call = _under_way.get()
    if call is None or len(branches) == len(call.branches):
        yield
        return
    with under_way(replace(call, branches=tuple(branches))):
        yield


def current() -> Call | None:
    """The call under way; `None` where the denoiser is called outside of a run."""
    return _under_way.get()
