"""Whole runs from noise to pictures, for what is fitted, measured or searched over many of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from ...graph.node import NodeError
from ...graph.progress import Progress
from ..guidance.classifier_free import ClassifierFree
from ..guidance.guide import Conditions
from ..models.live import use
from ..schedule.samplers import build
from ..schedule.solver import drive
from ..types import Conditioning, Guidance, Model, Noise, Sampler, Schedule
from . import loop
from .network import RunNetwork


@dataclass(frozen=True, eq=False)
class Job:
    """What pictures are made of. `positive` and `negative` hold one prompt for all pictures, or one for each."""

    model: Model
    noise: Noise
    positive: Conditioning
    negative: Conditioning | None
    sampler: Sampler | None
    guidance: Guidance | None

    def split(self, at_once: int) -> Iterator[Job]:
        """The same pictures, `at_once` at a time. Raises `NodeError` where pictures and prompts are not as many."""
        images = len(self.noise.samples)
        for name, given in (("positive", self.positive), ("negative", self.negative)):
            if given is not None and len(given.tokens) not in (1, images):
                raise NodeError(f"{name} has {len(given.tokens)} prompts for {images} noises; give one, or as many.")
        for start in range(0, images, at_once):
            rows = slice(start, start + at_once)
            yield replace(
                self,
                noise=Noise(self.noise.samples[rows], self.noise.seeds[rows]),
                positive=_part(self.positive, rows),
                negative=None if self.negative is None else _part(self.negative, rows),
            )


def generate(job: Job, schedule: Schedule, progress: Progress) -> Tensor:
    """Pixels (B, 3, H, W) in [0, 1], on the CPU, as `denoise` and `decode` make them. The steps are not told."""
    quiet = Progress(lambda *_: progress.stop_if_cancelled())
    model, shape = job.model, job.noise.samples.shape
    with torch.inference_mode(), use(model, quiet) as parts, ExitStack() as uses:
        flow = parts.family.flow(parts, shape)
        scheduler = build(parts.scheduler_config, job.sampler, schedule, flow)
        solver = drive(scheduler, job.sampler, job.noise, parts.placement.device, flow)
        guidance, scale = job.guidance or ClassifierFree(parts.description.guidance), None
        if parts.description.guidance_embedded:  # the network is told the scale and guides itself
            scale, guidance = getattr(guidance, "scale", None), ClassifierFree(scale=1.0)
        predict = loop.Counted(parts.family.predictor(parts, shape, scale), solver.steps, type(scheduler).__name__)
        empty = partial(parts.family.empty, parts, quiet)
        live = RunNetwork(parts, shape, uses, quiet)
        guide = guidance.begin(Conditions(job.positive, job.negative, empty, live, predict.notes))
        solver.begin(0)
        sample = solver.pure(job.noise.samples.to(parts.placement.device))
        pixels = parts.family.decode(parts, loop.run(predict, guide, solver, sample, quiet))
    return pixels.clone()  # a copy made outside of inference mode may take part in gradients


def _part(conditioning: Conditioning, rows: slice) -> Conditioning:
    if len(conditioning.tokens) == 1:
        return conditioning
    pooled, mask = conditioning.pooled, conditioning.mask
    return Conditioning(
        conditioning.tokens[rows],
        None if pooled is None else pooled[rows],
        None if mask is None else mask[rows],
    )
