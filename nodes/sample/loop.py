"""The denoising loop: the same for every model, guidance and sampler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor

from ...graph.progress import Progress
from ..guidance.guide import Guide, Step
from ..models.family import Predict
from ..schedule.solver import Solver
from ..types import Conditioning, Image

Show = Callable[[Tensor, Tensor, Step], Image]
"""A preview of (sample, prediction, step)."""


class Counted:
    """A `Predict` that counts: `calls` is one for each branch of each step, `passes` one for each time it ran."""

    def __init__(self, predict: Predict) -> None:
        self._predict, self.calls, self.passes = predict, 0, 0

    def __call__(
        self, sample: Tensor, timestep: Tensor | float, branches: Sequence[Conditioning]
    ) -> tuple[Tensor, ...]:
        self.calls += len(branches)
        self.passes += 1
        return self._predict(sample, timestep, branches)


def run(
    predict: Predict,
    guide: Guide,
    solver: Solver,
    steps: Sequence[Step],
    sample: Tensor,
    progress: Progress,
    keep: Callable[[Tensor, Step], Tensor] | None = None,
    show: Show | None = None,
) -> Tensor:
    """Take `steps` from `sample` (B, C, h, w). `keep` puts back, after each step, what is not to be changed."""
    total = -(-len(steps) // solver.order)
    for step in steps:
        progress.stop_if_cancelled()
        given = solver.scale(sample, step)
        prediction = guide(predict, given, step)
        sample = solver.advance(prediction, step, sample)
        if keep is not None:
            sample = keep(sample, step)
        evaluated = step.index - steps[0].index + 1
        if evaluated % solver.order == 0 or evaluated == len(steps):
            preview = partial(show, given, prediction, step) if show is not None else None
            progress.step(-(-evaluated // solver.order), total, "denoising", preview)
    return sample
