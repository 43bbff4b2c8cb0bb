"""Whole runs from noise to pictures, for what is fitted, measured or searched over many of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...graph.progress import Progress
from ..models.conditioning import check_prompts, part_of
from ..models.live import use
from ..types import Conditioning, Guidance, Latent, Model, Noise, Sampler, Schedule
from .run import run
from .task import Task


@dataclass(frozen=True, eq=False)
class Job:
    """What pictures are made of. `positive` and `negative` hold one prompt for all pictures, or one for each."""

    model: Model
    noise: Noise
    positive: Conditioning
    negative: Conditioning | None
    sampler: Sampler | None
    guidance: Guidance | None

    def __post_init__(self) -> None:
        """Raises `NodeError` where pictures and prompts are not as many."""
        check_prompts(len(self.noise.samples), positive=self.positive, negative=self.negative)

    def split(self, at_once: int) -> Iterator[Job]:
        """The same pictures, `at_once` at a time."""
        for start in range(0, len(self.noise.samples), at_once):
            yield self.rows(start, start + at_once)

    def rows(self, start: int, stop: int) -> Job:
        """The pictures from `start` to before `stop`."""
        return part_of(self, slice(start, stop), len(self.noise.samples))


def generate(job: Job, schedule: Schedule, progress: Progress, notes: dict[str, Any] | None = None) -> Latent:
    """The latents of a whole run. Its steps are not told to `progress`; its report goes to `notes`. Gradients flow to a
    noise that asks for them."""
    quiet = Progress(lambda *_: progress.stop_if_cancelled(), None if notes is None else notes.update)
    task = Task.whole(job.noise, schedule.steps)
    return run(
        job.model, task, job.positive, job.negative, schedule, job.sampler, guidance=job.guidance, progress=quiet
    )[0]


def pictures(job: Job, schedule: Schedule, progress: Progress, notes: dict[str, Any] | None = None) -> Tensor:
    """Pixels (B, 3, H, W) in [0, 1], on the CPU, of a whole run, whose report goes to `notes`. Gradients flow to a
    noise that asks for them."""
    latent = generate(job, schedule, progress, notes)
    with torch.set_grad_enabled(latent.samples.requires_grad), use(job.model) as parts:
        return parts.family.decode(parts, latent.samples)
