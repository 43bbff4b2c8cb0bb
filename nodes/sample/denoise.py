"""From noise to a latent of the picture."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...graph.node import Together, node
from ...graph.progress import QUIET, Progress
from ..types import Conditioning, Guidance, Latent, Mask, Model, Noise, Sampler, Schedule
from . import several
from .several import Denoised


@node(together=Together(several.alike, lambda calls: several.together(denoise, calls)))
def denoise(
    model: Model,
    noise: Noise,
    positive: Conditioning,
    negative: Conditioning | None = None,
    schedule: Schedule | None = None,
    sampler: Sampler | None = None,
    guidance: Guidance | None = None,
    latent: Latent | None = None,
    mask: Mask | None = None,
    strength: Annotated[float, Field(ge=0, le=1, description="how much of a wired latent is made anew")] = 1.0,
    start_step: Annotated[int, Field(ge=0, le=1000, description="step of the schedule to begin with")] = 0,
    end_step: Annotated[int, Field(ge=0, le=1000, description="step of the schedule to end before; 0: do all")] = 0,
    distilled_guidance: Annotated[
        float | None,
        Field(
            ge=0,
            le=100,
            description="scale told to a network that guides itself (Flux dev, LCM); empty: the guidance's own scale",
        ),
    ] = None,
    preview: Annotated[bool, Field(description="show what the picture is going to be")] = True,
    count_flops: Annotated[
        bool, Field(description="count floating-point operations for the report; slows the run down")
    ] = False,
    progress: Progress = QUIET,
) -> Denoised:
    """Make a latent (B, C, h, w) of noise, step by step, as the prompts say; the report tells what it took.

    Without `schedule`, `sampler` and `guidance`: 25 steps, the model's own sampler, classifier-free guidance as strong
    as is usual for the model. Without `negative` the model's empty prompt stands for it. A guidance-distilled network
    is told the scale and evaluates one branch, unless `distilled_guidance` tells it another: it is then guided as well.
    What a guidance does besides (PAG, NAG, autoguidance) it does in either case.

    With `latent` the picture begins from it (https://arxiv.org/abs/2108.01073): noise is added for the last `strength`
    of the steps, or from `start_step` on. With `mask` too, only what the mask covers changes: the rest is put back
    after each step, and soft edges blend.

    A run that ends before the last step gives a latent with noise left in it. Wire it to `latent` of a second run that
    starts there, with the same noise, and none is added: together they do the steps of one run, and give its result
    with samplers that look at one step (euler, euler_ancestral, heun, ddim, ddpm, lcm, tcd, dpmpp_sde). The others
    begin anew without their history.
    """
    from .run import run
    from .task import Task

    schedule = schedule or Schedule(steps=25)
    task = Task(noise, latent, mask, strength, start_step, end_step, schedule.steps)
    given = (model, task, positive, negative, schedule, sampler, guidance)
    return Denoised(*run(*given, distilled_guidance, preview, count_flops, progress))
