"""From noise to a latent of the picture."""

from __future__ import annotations

import time
from typing import Annotated

from pydantic import Field

from ...graph.node import NodeError, node
from ...graph.progress import QUIET, Progress
from ..types import Conditioning, Guidance, Latent, Mask, Model, Noise, Sampler, Schedule


@node
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
    progress: Progress = QUIET,
) -> Latent:
    """Make a latent (B, C, h, w) of noise, step by step, as the prompts say.

    Without `schedule`, `sampler` and `guidance`: 25 steps, the model's own sampler, classifier-free guidance as strong
    as is usual for the model. Without `negative` the model's empty prompt stands for it. A guidance-distilled network
    is told the scale and evaluates one branch, unless `distilled_guidance` tells it another: it is then guided as well.

    With `latent` the picture begins from it (https://arxiv.org/abs/2108.01073): noise is added for the last `strength`
    of the steps, or from `start_step` on. With `mask` too, only what the mask covers changes: the rest is put back
    after each step, and soft edges blend.

    A run that ends before the last step gives a latent with noise left in it. Wire it to `latent` of a second run that
    starts there, with the same noise, and none is added: together they do the steps of one run, and give its result
    with samplers that look at one step (euler, euler_ancestral, heun, ddim, ddpm, lcm, tcd, dpmpp_sde). The others
    begin anew without their history.
    """
    from contextlib import ExitStack
    from functools import partial

    import torch

    from ..guidance.classifier_free import ClassifierFree
    from ..guidance.guide import Conditions
    from ..models.live import use
    from ..schedule.samplers import build
    from ..schedule.solver import drive
    from . import loop
    from .network import RunNetwork
    from .preview import previewer
    from .task import Task

    schedule = schedule or Schedule(steps=25)
    task = Task(noise, latent, mask, strength, start_step, end_step, schedule.steps)
    task.check()
    with torch.inference_mode(), use(model, progress) as parts, ExitStack() as uses:
        flow = parts.family.flow(parts, noise.samples.shape)
        scheduler = build(parts.scheduler_config, sampler, schedule, flow)
        device = parts.placement.device
        solver = drive(scheduler, sampler, noise, device, flow)
        first, last = task.span(solver)
        if latent is not None and first >= last:
            return latent  # a strength of less than one step
        guidance = guidance or ClassifierFree(parts.description.guidance)
        scale, embedded = distilled_guidance, parts.description.guidance_embedded
        if scale is not None and not embedded:
            raise NodeError("distilled_guidance is for guidance-distilled models, which this is not; leave it empty.")
        if embedded and scale is None:  # the network is told the scale and guides itself
            scale, guidance = getattr(guidance, "scale", None), ClassifierFree(scale=1.0)
        steps = solver.steps[first:last]
        network = parts.family.predictor(parts, noise.samples.shape, scale)
        predict = loop.Counted(network, steps, type(scheduler).__name__)
        live = RunNetwork(parts, noise.samples.shape, uses, progress)
        empty = partial(parts.family.empty, parts, progress)
        guide = guidance.begin(Conditions(positive, negative, empty, live, predict.notes))
        sample = task.begin(solver, first, device)
        show = previewer(model) if preview else None
        began = time.perf_counter()
        sample = loop.run(predict, guide, solver, sample, progress, task.keeper(solver, device), show)
        sigma = 0.0
        if last < len(solver.steps):
            sample, sigma = solver.kept(sample, solver.steps[last]), solver.steps[last].sigma
        samples = sample.to("cpu", torch.float32)  # waits for the device, so that the time below is all of it
        progress.note(
            network_calls=predict.calls,
            network_passes=predict.passes,
            **{name.replace(" ", "_"): times for name, times in predict.counts.items()},
            **predict.notes,
            steps=-(-len(steps) // solver.order),
            seconds_per_step=(time.perf_counter() - began) / -(-len(steps) // solver.order),
            sampler=sampler.name if sampler else type(scheduler).__name__,
            timesteps=[round(float(t), 1) for t in scheduler.timesteps[first:last]],
            spacing=schedule.spacing,
            shaping=schedule.shaping,
            **parts.placement.facts(),
        )
    return Latent(samples.clone(), sigma)  # a copy made outside of inference mode may take part in gradients
