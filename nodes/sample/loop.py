"""The denoising loop: the same for every model, guidance and sampler."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from ...graph.progress import Progress
from ..guidance.guide import Guide, Step
from ..models.call import Call, under_way
from ..models.family import Predict
from ..schedule.solver import Solver
from ..types import Branch, Conditioning, Image
from .gauge import Gauge

Show = Callable[[Tensor, Tensor, Step], Image]
"""A preview of (sample, prediction, step)."""


class Counted:
    """A `Predict` that counts: `asked` the branches of each evaluation, `passes` each time it ran, `counts` what
    patches did, `notes` what they found. `steps` are those of the run, of which number `at` is under way, taken by a
    `scheduler`."""

    def __init__(self, predict: Predict, steps: Sequence[Step], scheduler: str = "") -> None:
        self._predict, self._scheduler, self.passes = predict, scheduler, 0
        self.asked: list[list[Conditioning]] = [[] for _ in steps]
        self.counts: Counter[str] = Counter()
        self.notes: dict[str, Any] = {}
        self.steps, self.at = steps, 0

    def __call__(
        self, sample: Tensor, timestep: Tensor | float, branches: Sequence[Conditioning]
    ) -> tuple[Tensor, ...]:
        return self._counted(self._predict, sample, timestep, branches)

    def beside(self, other: Predict) -> Predict:
        """`other`, of a network that the same run uses too, its calls counted with the rest."""
        return partial(self._counted, other)

    def _counted(
        self, network: Predict, sample: Tensor, timestep: Tensor | float, branches: Sequence[Conditioning]
    ) -> tuple[Tensor, ...]:
        self.asked[self.at] += branches
        self.passes += 1
        call = Call(self.steps, self.at, tuple(branches), self.counts, self._scheduler, self.notes)
        with under_way(call):
            return network(sample, timestep, branches)

    def branches(self, role: Callable[[Conditioning], str]) -> tuple[Branch, ...]:
        """Calls made and saved for the branches that have the same `role`, in the order they were first asked in."""
        roles = [Counter(map(role, asked)) for asked in self.asked]
        made = sum(roles, Counter[str]())
        fullest = {name: max(each[name] for each in roles) for name in made}
        return tuple(Branch(name, calls, fullest[name] * len(roles) - calls) for name, calls in made.items())


def run(
    predict: Counted,
    guide: Guide,
    solver: Solver,
    sample: Tensor,
    progress: Progress,
    keep: Callable[[Tensor, Step], Tensor] | None = None,
    show: Show | None = None,
    gauge: Gauge | None = None,
) -> Tensor:
    """Take the steps of `predict` from `sample` (B, C, h, w). `keep` puts back, what must not change, step by step."""
    steps, gauge = predict.steps, gauge or Gauge(sample.device)
    total = -(-len(steps) // solver.order)
    for predict.at, step in enumerate(steps):
        progress.stop_if_cancelled()
        with gauge.step():
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
