"""Pictures of noises, and how well a reward likes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...graph.progress import Progress
from ..reward.prompts import for_each
from ..sample.generate import Job, pictures
from ..types import Noise, Prompts, Reward, Schedule


@dataclass(frozen=True, eq=False)
class Trials:
    """Runs for one picture: all that they have in common is in `job`."""

    job: Job
    schedule: Schedule
    score: Callable[[Tensor], Tensor]
    progress: Progress

    def rewards(self, noise: Noise) -> tuple[Tensor, Tensor, int]:
        """Rewards (N,) and pixels (N, 3, H, W) of N noises, and the network calls each took. Gradients flow to a noise
        that asks for them."""
        report: dict[str, Any] = {}
        pixels = pictures(replace(self.job, noise=noise), self.schedule, self.progress, report)
        with torch.set_grad_enabled(pixels.requires_grad):
            return self.score(pixels), pixels, report["network_calls"]


def for_pictures(
    job: Job, schedule: Schedule, reward: Reward, prompts: Prompts, progress: Progress
) -> Iterator[tuple[Noise, Trials]]:
    """Each noise of `job` by itself, with what tries others in its place."""
    texts = for_each(prompts.texts, len(job.noise.samples))
    for number, text in enumerate(texts):
        alone = job.rows(number, number + 1)
        yield alone.noise, Trials(alone, schedule, reward.begin((text,)), progress)


def joined(noises: Sequence[Noise]) -> Noise:
    """Noises of single pictures as one."""
    return Noise(torch.cat([each.samples for each in noises]), tuple(seed for each in noises for seed in each.seeds))
