"""LinearAG (Castillo et al., 2023, https://arxiv.org/abs/2312.12487, section on replacing evaluations).

Along a run the unconditional predictions are nearly a linear combination of predictions there are already:

    e_u(x_t) ~ sum over i <= t of a_i e_c(x_i) + sum over i < t of b_i e_u(x_i),   steps i counted from the first

with scalars fitted once for a model and a schedule (fit_linear_ag). In the first half of the run every second step
evaluates both branches, the others only the conditional one and take the unconditional from the formula, where earlier
estimates stand in for what was not evaluated. In the second half the conditional branch stands by itself.

Evaluations: N + k, where k steps evaluate both: k = ceil(floor(share N) / every), 25 for the paper's 20 steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from ...graph.files import Files, Reads
from ...graph.node import NodeError, node
from ..models.family import Predict
from ..types import Conditioning, Guidance
from .branches import Watched
from .guide import Conditions, Guide, Step
from .regression import Coefficients, read

if TYPE_CHECKING:
    from torch import Tensor

Late = Literal["conditional", "estimated"]

MEND = "Fit coefficients for this run: fit_linear_ag."


@dataclass(frozen=True)
class Linear(Guidance):
    """`guidance` whose unconditional branch is mostly estimated by the `coefficients` of the file `name`."""

    guidance: Guidance
    coefficients: Coefficients
    name: str
    share: float
    every: int
    late: Late

    def begin(self, conditions: Conditions) -> Guide:
        guided, past = self.guidance.begin(conditions), Past()
        checked = False

        def guide(predict: Predict, sample: Tensor, step: Step) -> Tensor:
            nonlocal checked
            if not checked:
                self._check_model(conditions, step)
                checked = True
            self._check_schedule(step)
            if step.index >= int(self.share * step.total) and self.late == "conditional":
                return predict(sample, step.timestep, (conditions.positive,))[0]
            # A run that begins later in the schedule has no past to estimate by.
            known = len(past.conditional) == step.index
            asked = predict
            if known and not self.evaluates(step):
                asked = Estimated(predict, conditions, past, self.coefficients)
            watched = Watched(asked)
            result = guided(watched, sample, step)
            if known:
                past.add(watched.seen, conditions, self.coefficients)
            return result

        return guide

    def evaluates(self, step: Step) -> bool:
        """Whether both branches are evaluated at this step."""
        return step.index < int(self.share * step.total) and step.index % self.every == 0

    def _check_model(self, conditions: Conditions, step: Step) -> None:
        from ..models.identity import of_model

        made, problems = self.coefficients, []
        if step.prediction_type != made.prediction:
            problems.append(f"{self.name} is for networks that predict {made.prediction}, not {step.prediction_type}.")
        if of_model(conditions.network.model) != made.model:
            problems.append(f"{self.name} was fitted for another model than {conditions.network.model.source}.")
        if step.total != len(made.times):
            problems.append(f"{self.name} was fitted for {len(made.times)} evaluations, and this run has {step.total}.")
        if problems:
            raise NodeError(f"{' '.join(problems)} {MEND}")

    def _check_schedule(self, step: Step) -> None:
        expected = self.coefficients.times[step.index]
        if abs(step.time - expected) > 1e-4:
            raise NodeError(
                f"{self.name} was fitted for another schedule: its step {step.index} is at time {expected:.4f}, and "
                f"that of this run at {step.time:.4f} (1 is pure noise). {MEND}"
            )


@dataclass
class Past:
    """The predictions (B, C, h, w) of each step so far, evaluated or estimated."""

    conditional: list[Tensor] = field(default_factory=list)
    unconditional: list[Tensor] = field(default_factory=list)

    def add(
        self, seen: Sequence[tuple[Conditioning, Tensor]], conditions: Conditions, coefficients: Coefficients
    ) -> None:
        """One more step, of which the guidance has `seen` these; what it did not ask for is estimated."""
        found = {id(branch): prediction for branch, prediction in seen}
        self.conditional.append(found[id(conditions.positive)])
        unconditional = found.get(id(conditions.negative))
        if unconditional is None:
            unconditional = coefficients.estimate(self.conditional, self.unconditional)
        self.unconditional.append(unconditional)


class Estimated:
    """A `Predict` that evaluates the positive branch alone, and estimates the negative one."""

    def __init__(self, predict: Predict, conditions: Conditions, past: Past, coefficients: Coefficients) -> None:
        self._predict, self._conditions, self._past, self._coefficients = predict, conditions, past, coefficients

    def __call__(
        self, sample: Tensor, timestep: Tensor | float, branches: Sequence[Conditioning]
    ) -> tuple[Tensor, ...]:
        positive, negative = self._conditions.positive, self._conditions.negative
        if any(branch is not positive and branch is not negative for branch in branches):
            raise NodeError(
                "linear_ag stands around guidances that ask for the positive and the negative branch alone, such as "
                "cfg; this one asks for others."
            )
        conditional = self._predict(sample, timestep, (positive,))[0]
        if len(branches) == 1 and branches[0] is positive:
            return (conditional,)
        estimate = self._coefficients.estimate([*self._past.conditional, conditional], self._past.unconditional)
        return tuple(conditional if branch is positive else estimate for branch in branches)


@node(title="LinearAG")
def linear_ag(
    guidance: Guidance,
    coefficients: Annotated[
        str, Reads("input"), Field(description="a file fit_linear_ag wrote for this model, schedule and sampler")
    ],
    share: Annotated[
        float, Field(ge=0, le=1, description="of the run in which the unconditional branch is evaluated at times")
    ] = 0.5,
    every: Annotated[
        int, Field(ge=1, le=1000, description="every how many steps of it; 1 with a share of 1 is the guidance itself")
    ] = 2,
    late: Annotated[
        Late, Field(description="after that: the conditional branch by itself, or guided by estimates of estimates")
    ] = "conditional",
    *,
    files: Files,
) -> Guidance:
    """Pay for the unconditional branch at few steps, and estimate it at others by a fit made once.

    Stands around cfg and its like. The file is read from the input folders, and is refused for other models and
    schedules. A run that begins later in the schedule than the first step evaluates both branches in its first part.
    https://arxiv.org/abs/2312.12487
    """
    return Linear(guidance, read(files.find(coefficients, "input")), coefficients, share, every, late)
