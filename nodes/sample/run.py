"""One run from noise to latent, as `denoise` makes it and as measurements repeat it."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

import torch

from ...graph.node import NodeError
from ...graph.progress import QUIET, Progress
from ..guidance.classifier_free import ClassifierFree
from ..guidance.guide import Conditions
from ..models.live import use
from ..models.observed import observed
from ..schedule.samplers import build
from ..schedule.solver import drive
from ..types import Conditioning, Guidance, Latent, Model, Report, Sampler, Schedule
from . import loop
from .gauge import Gauge
from .network import RunNetwork
from .preview import previewer
from .task import Task

NOTHING = Report(steps=0, passes=0, branches=(), counts=(), seconds=(), total_seconds=0.0)


def run(
    model: Model,
    task: Task,
    positive: Conditioning,
    negative: Conditioning | None,
    schedule: Schedule,
    sampler: Sampler | None = None,
    guidance: Guidance | None = None,
    distilled_guidance: float | None = None,
    preview: bool = False,
    count_flops: bool = False,
    progress: Progress = QUIET,
) -> tuple[Latent, Report]:
    """A latent (B, C, h, w) on the CPU, and what it took. The parameters are those of the node `denoise`.

    Gradients flow from the latent to a noise that asks for them (`requires_grad`), else none are kept.
    """
    task.check()
    differentiable = task.noise.samples.requires_grad and torch.is_grad_enabled()
    with torch.inference_mode(not differentiable), use(model, progress) as parts, ExitStack() as uses:
        shape = task.noise.samples.shape
        flow = parts.family.flow(parts, shape)
        scheduler = build(parts.scheduler_config, sampler, schedule, flow)
        device = parts.placement.device
        solver = drive(scheduler, sampler, task.noise, device, flow)
        first, last = task.span(solver)
        if task.latent is not None and first >= last:
            return task.latent, NOTHING  # a strength of less than one step
        guidance = guidance or ClassifierFree(parts.description.guidance)
        scale, embedded = distilled_guidance, parts.description.guidance_embedded
        if scale is not None and not embedded:
            raise NodeError("distilled_guidance is for guidance-distilled models, which this is not; leave it empty.")
        if embedded and scale is None:  # the network is told the scale and guides itself
            scale, left = guidance.distilled()
            guidance = left or ClassifierFree(scale=1.0)
        steps = solver.steps[first:last]
        network = parts.family.predictor(parts, shape, scale)
        if not parts.placement.compile:  # what watches would have it compiled twice
            network = observed(network)
        predict = loop.Counted(network, steps, type(scheduler).__name__)
        live = RunNetwork(parts, shape, uses, predict.beside, progress)
        empty = partial(parts.family.empty, parts, progress)
        conditions = Conditions(positive, negative, empty, live, predict.notes)
        guide = guidance.begin(conditions)
        sample = task.begin(solver, first, device)
        show = previewer(model) if preview else None
        gauge = Gauge(device, count_flops)
        with gauge.run():
            sample = loop.run(predict, guide, solver, sample, progress, task.keeper(solver, device), show, gauge)
            sigma = 0.0
            if last < len(solver.steps):
                sample, sigma = solver.kept(sample, solver.steps[last]), solver.steps[last].sigma
            samples = sample.to("cpu", torch.float32)  # waits for the device, so that the time is all of it
        report = Report(
            steps=-(-len(steps) // solver.order),
            passes=predict.passes,
            branches=predict.branches(conditions.role),
            counts=tuple(predict.counts.items()),
            seconds=gauge.seconds(solver.order),
            total_seconds=gauge.total_seconds,
            memory=gauge.memory,
            flops=gauge.flops,
        )
        progress.note(
            **facts(report),
            **predict.notes,
            sampler=sampler.name if sampler else type(scheduler).__name__,
            timesteps=[round(float(t), 1) for t in scheduler.timesteps[first:last]],
            spacing=schedule.spacing,
            shaping=schedule.shaping,
            **parts.placement.facts(),
        )
    return Latent(samples.clone(), sigma), report  # a copy made outside of inference mode may take part in gradients


def facts(report: Report) -> dict[str, int | float]:
    """`report` as plain values by name; what was not measured is left out."""
    told = {
        "network_calls": report.calls,
        "network_calls_saved": report.saved,
        "network_passes": report.passes,
        **{f"{branch.name}_calls": branch.made for branch in report.branches},
        **{name.replace(" ", "_"): times for name, times in report.counts},
        "steps": report.steps,
        "seconds_per_step": report.total_seconds / report.steps,
        "seconds": report.total_seconds,
    }
    if report.memory is not None:
        told["peak_memory_mb"] = round(report.memory / 1e6, 1)
    if report.flops is not None:
        told["gflops"] = round(report.flops / 1e9, 3)
    return told
