"""Uni-Inv: from a finished latent back to noise along a straight path's flow (Jiao et al., 2025,
https://arxiv.org/abs/2504.13109).

With times t_0 = 0 < t_1 < ... < t_n and the velocity v of the network, from x_0 on:

    x' = x_i + (t_i+1 - t_i) v_i,    v_i+1 = v(x', t_i+1),    x_i+1 = x_i + (t_i+1 - t_i) v_i+1,    v_0 = v(x_0, 0)

so that a step up uses the velocity where the sampler's step down will ask for it. n + 1 network calls for n steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from ...graph.node import NodeError
from ..guidance.guide import Step
from ..models.live import Parts
from ..schedule.samplers import build
from ..schedule.solver import drive
from ..types import Conditioning, Noise, Sampler, Schedule


@dataclass(frozen=True, eq=False)
class Path:
    """The straight path on which a run begins beside the finished `latent` (B, C, h, w), at the first of `levels`."""

    latent: Tensor
    levels: Sequence[Step]

    @property
    def time(self) -> float:
        return self.levels[0].time

    def noise(self, sample: Tensor) -> Tensor:
        """The noise with which a run from the latent begins at `sample`."""
        return (sample - (1 - self.time) * self.latent) / self.time

    def up(self, velocity: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Where the latent comes from, by the `velocity` of (sample, timestep)."""
        sample, time = self.latent, 0.0
        following = velocity(sample, 0 * self.levels[0].timestep)
        for level in reversed(self.levels):
            ahead = sample + (level.time - time) * following
            following = velocity(ahead, level.timestep)
            sample = sample + (level.time - time) * following
            time = level.time
        return sample


def path(
    parts: Parts, latent: Tensor, noise: Noise, schedule: Schedule, sampler: Sampler | None, start_step: int
) -> Path:
    """That of a run of `schedule` that begins at `start_step`. Raises `NodeError` for models whose path is none."""
    flow = parts.family.flow(parts, latent.shape)
    if flow is None:
        raise NodeError(
            "FlowOpt is for models whose path is straight (Stable Diffusion 3, Flux), and this one is a diffusion "
            "model; begin from a picture with strength instead."
        )
    device = parts.placement.device
    solver = drive(build(parts.scheduler_config, sampler, schedule, flow), sampler, noise, device, flow)
    return Path(latent, solver.steps[start_step * solver.order :: solver.order])


def inverted(parts: Parts, way: Path, prompt: Conditioning) -> Tensor:
    """The sample, on the CPU, that `prompt` unguided leads from to the latent of `way`."""
    predict = parts.family.predictor(parts, way.latent.shape, 1.0)
    device = parts.placement.device

    def velocity(sample: Tensor, timestep: Tensor) -> Tensor:
        return predict(sample.to(device), timestep, (prompt,))[0].cpu()

    return way.up(velocity)
