"""The fit that LinearAG needs once (Castillo et al., 2023, https://arxiv.org/abs/2312.12487).

Guided runs are made in full; for each step t, ordinary least squares over all pictures and values finds a and b of

    e_u(x_t) ~ sum over i <= t of a_i e_c(x_i) + sum over i < t of b_i e_u(x_i)

The authors fitted about 200 runs. How well it holds is told for pictures the fit has not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import Field

from ...graph.files import Files, Writes
from ...graph.node import NodeError, effect
from ...graph.progress import QUIET, Progress
from ..models.family import Predict
from ..types import Conditioning, Figure, Guidance, Model, Noise, Sampler, Schedule, Series, Table
from .branches import Watched
from .classifier_free import ClassifierFree
from .guide import Conditions, Guide, Step

if TYPE_CHECKING:
    from torch import Tensor


class Fit(NamedTuple):
    """How well each step is told by those before it."""

    errors: Table
    figure: Figure


@dataclass
class Recorded:
    """The steps of a run, and what the network predicted at each."""

    steps: list[Step] = field(default_factory=list)
    conditional: list[Tensor] = field(default_factory=list)
    unconditional: list[Tensor] = field(default_factory=list)


@dataclass(frozen=True)
class Recording(Guidance):
    """`guidance`, which must evaluate both branches at every step; what it sees is put in `into`."""

    guidance: Guidance
    into: Recorded = field(hash=False, compare=False)

    def begin(self, conditions: Conditions) -> Guide:
        guided = self.guidance.begin(conditions)

        def guide(predict: Predict, sample: Tensor, step: Step) -> Tensor:
            watched = Watched(predict)
            result = guided(watched, sample, step)
            found = {id(branch): prediction for branch, prediction in watched.seen}
            if {id(conditions.positive), id(conditions.negative)} != set(found):
                raise NodeError(
                    "LinearAG is fitted to guidances that evaluate the positive and the negative branch, and no other, "
                    "at every step; wire cfg with a scale above 1."
                )
            self.into.steps.append(step)
            self.into.conditional.append(found[id(conditions.positive)])
            self.into.unconditional.append(found[id(conditions.negative)])
            return result

        return guide


@effect(title="Fit LinearAG")
def fit_linear_ag(
    model: Model,
    noise: Noise,
    positive: Conditioning,
    negative: Conditioning | None = None,
    schedule: Schedule | None = None,
    sampler: Sampler | None = None,
    guidance: Guidance | None = None,
    name: Annotated[str, Writes(), Field(description="file to write, without its ending")] = "linear_ag",
    held_out: Annotated[float, Field(gt=0, lt=1, description="share of the pictures that only test the fit")] = 0.25,
    at_once: Annotated[int, Field(ge=1, le=1024, description="pictures that are made together")] = 16,
    progress: Progress = QUIET,
    *,
    files: Files,
) -> Fit:
    """Fit the coefficients of linear_ag: make each picture of `noise` with full guidance, and relate its predictions.

    Wire what the pictures to come will be made with; a prompt for each picture tells more than one for all. The file
    (JSON, in the output folder) is for this model and schedule; linear_ag takes it once it lies in an input folder.
    `errors` are |estimate - e_u|² / |e_u|² of each step for the pictures fitted to and those held out, beside that of
    taking the conditional prediction in its place.
    """
    from ..models.identity import of_model
    from ..models.inspect import describe
    from ..sample.generate import Job, generate
    from .regression import Coefficients, Products, error, solve, write

    images = len(noise.samples)
    tested = max(1, round(held_out * images))
    if tested >= images:
        raise NodeError(f"{images} picture(s) are too few to fit to some and test on others; make noise for more.")
    schedule = schedule or Schedule(steps=25)
    guidance = guidance or ClassifierFree(describe(model).guidance)
    job = Job(model, noise, positive, negative, sampler, guidance)
    steps: list[Step] = []

    def products(first: int, last: int) -> Tensor:
        """The inner products of all predictions of the pictures from `first` to before `last`."""
        sums: Products | None = None
        for start in range(first, last, at_once):
            progress.step(start, images, "runs to fit to")
            recorded = Recorded()
            piece = job.rows(start, min(start + at_once, last))
            generate(replace(piece, guidance=Recording(guidance, recorded)), schedule, progress)
            steps[:] = recorded.steps
            sums = sums or Products(len(steps))
            sums.add(recorded.conditional, recorded.unconditional)
        assert sums is not None
        return sums.matrix

    fitted, test = products(0, images - tested), products(images - tested, images)
    solved = [solve(fitted, step) for step in range(len(steps))]
    path = files.target(f"{name}.json")
    coefficients = Coefficients(
        of_model(model),
        steps[0].prediction_type,
        sampler.name if sampler else "the model's own",
        str(guidance),
        tuple(step.time for step in steps),
        tuple(tuple(a) for a, _ in solved),
        tuple(tuple(b) for _, b in solved),
    )
    write(path, coefficients)
    rows = []
    for step, (a, b) in enumerate(solved):
        alone = [0.0] * step + [1.0] + [0.0] * step
        rows.append((step, error(fitted, step, a + b), error(test, step, a + b), error(test, step, alone)))
    mean = [sum(column) / len(rows) for column in list(zip(*rows, strict=True))[1:]]
    progress.note(files=[str(path)], runs=images, mean_error=mean[1], mean_error_of_conditional=mean[2])
    return Fit(
        Table(("step", "fitted", "held out", "conditional instead"), tuple(rows)),
        Figure("LinearAG", "step", "relative squared error", _series(rows)),
    )


def _series(rows: Sequence[tuple[float, ...]]) -> tuple[Series, ...]:
    steps = tuple(float(row[0]) for row in rows)
    names = ("fitted", "held out", "conditional instead")
    return tuple(Series(name, steps, tuple(row[i] for row in rows)) for i, name in enumerate(names, start=1))
