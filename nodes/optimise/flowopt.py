"""FlowOpt: editing and inverting pictures with straight-path models, by runs alone (FlowOpt, 2025,
https://arxiv.org/abs/2510.22010).

`zero_order.py` has the descent. To invert, the prompt says what the picture shows, unguided, and the best iterate is
kept. To edit, the prompt says what it should show: the first iterates follow the prompt, later ones come closer to the
picture, so that the number of iterations is how much of the picture is kept. Either begins from the inversion of the
picture by Uni-Inv (`inversion.py`), with the prompt that describes it.

The authors take eta 0.0025 for Flux and 0.01 for Stable Diffusion 3; to edit 15 steps without the first 2 (Flux) or 3,
8 iterations at guidance 3.5; to invert all of 10 steps, 30 iterations. They start from the mean of the autoencoder's
distribution, where encode_image draws from it.

Cost: (iterations + 1) x steps x branches network calls, and steps + 1 for the inversion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from pydantic import Field

from ...graph.node import NodeError, node
from ...graph.progress import QUIET, Progress
from ..types import Conditioning, Figure, Guidance, Latent, Model, Noise, Sampler, Schedule, Series, Table

if TYPE_CHECKING:
    from torch import Tensor

    from .zero_order import Iterate


class Edited(NamedTuple):
    """The noise to begin with beside the latent, the latent it leads to, those of all iterates, and how far they were
    from the picture."""

    noise: Noise
    latent: Latent
    iterates: Latent
    figure: Figure
    table: Table


@node(title="FlowOpt")
def flowopt(
    model: Model,
    latent: Latent,
    positive: Conditioning,
    schedule: Schedule,
    source: Conditioning | None = None,
    negative: Conditioning | None = None,
    sampler: Sampler | None = None,
    guidance: Guidance | None = None,
    start_step: Annotated[
        int, Field(ge=0, le=1000, description="step of the schedule to begin with: the more, the less is changed")
    ] = 2,
    iterations: Annotated[int, Field(ge=0, le=1000, description="more come closer to the picture")] = 8,
    eta: Annotated[float, Field(ge=0, le=10, description="how much of what is missing is put back each time")] = 0.01,
    keep: Annotated[
        Literal["last", "best"], Field(description="last: to edit; best: the nearest to the picture, to invert")
    ] = "last",
    progress: Progress = QUIET,
) -> Edited:
    """Edit the picture of a finished latent, or find the noise it comes from, with a model whose path is straight.

    `positive` says what the picture should show and `source` what it shows (none: the same, to invert, best with
    guidance of scale 1). No gradients: it takes the memory of a run. The result is in `latent`; denoise makes it again
    from `noise` beside the same latent, schedule and start_step. `iterates` holds the latents of all iterates, those of
    a batch together: the first are the strongest edits. https://arxiv.org/abs/2510.22010
    """
    import torch

    from ..models.live import use
    from ..sample.run import run
    from ..sample.task import Task
    from .inversion import inverted, path
    from .zero_order import descend

    if latent.sigma > 0:
        raise NodeError("The latent has noise left in it; FlowOpt needs a finished one, as encode_image gives.")
    wanted = latent.samples
    pictures = len(wanted)
    unused = Noise(torch.zeros_like(wanted), (0,) * pictures)
    _check(pictures, positive, negative, source)
    Task(unused, latent, None, 1.0, start_step, 0, schedule.steps).check()
    iterates: list[Iterate] = []
    calls: list[int] = []

    def made_of(sample: Tensor) -> Tensor:
        noise = Noise(way.noise(sample), unused.seeds)
        task = Task(noise, latent, None, 1.0, start_step, 0, schedule.steps)
        quiet = Progress(lambda *_: progress.stop_if_cancelled())
        made, report = run(model, task, positive, negative, schedule, sampler, guidance, progress=quiet)
        calls.append(report.calls)
        return made.samples

    with torch.no_grad(), use(model, progress) as parts:
        way = path(parts, wanted, unused, schedule, sampler, start_step)
        start = inverted(parts, way, source or positive)
        calls.append(len(way.levels) + 1)
        for iterate in descend(made_of, wanted, start, iterations, eta):
            iterates.append(iterate)
            told = f"{iterate.residual.mean():.4f} from the picture"
            progress.step(len(iterates), iterations + 1, told)
    residuals = torch.stack([iterate.residual for iterate in iterates])  # (iterates, B)
    chosen = residuals.argmin(0).tolist() if keep == "best" else [iterations] * pictures
    sample, made = (
        torch.stack([getattr(iterates[which], name)[row] for row, which in enumerate(chosen)])
        for name in ("sample", "made")
    )
    progress.note(network_calls=sum(calls), kept=chosen, residuals=residuals.tolist())
    return Edited(
        Noise(way.noise(sample), unused.seeds),
        Latent(made),
        Latent(torch.cat([iterate.made for iterate in iterates])),
        _figure(residuals),
        _table(residuals, calls),
    )


def _check(pictures: int, *prompts: Conditioning | None) -> None:
    from ..models.conditioning import check_prompts

    check_prompts(pictures, **dict(zip(("positive", "negative", "source"), prompts, strict=True)))


def _figure(residuals: Tensor) -> Figure:
    """Residuals (iterates, B) over iterations."""
    iterations = tuple(map(float, range(len(residuals))))
    curves = (Series(f"picture {n}", iterations, tuple(curve)) for n, curve in enumerate(residuals.T.tolist()))
    return Figure("FlowOpt", "iteration", "distance from the latent", tuple(curves))


def _table(residuals: Tensor, calls: list[int]) -> Table:
    """`calls` are those of the inversion and of each run, for a picture."""
    from itertools import accumulate

    taken = list(accumulate(calls))[1:]
    rows = tuple((n, mean, taken[n]) for n, mean in enumerate(residuals.mean(1).tolist()))
    return Table(("iteration", "mean_distance", "network_calls"), rows)
