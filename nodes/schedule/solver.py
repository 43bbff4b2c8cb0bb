"""A scheduler of diffusers at work in one run."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..guidance.guide import Step
from ..models.family import Flow
from ..types import Noise, Sampler
from .samplers import SAMPLERS


class Solver:
    """Takes steps with `scheduler`, whose timesteps are set and stay on the CPU: reading them never waits for a GPU.

    Fresh noise of image i comes from a CPU generator seeded `noise.seeds[i]` and advanced past what `noise` drew from
    it, so a picture is the same alone, in a batch and on every device, and the same as with a stock pipeline given
    `generator=[...]`. DPM++ SDE draws from a Brownian tree per image with those seeds instead; diffusers does so when
    its `noise_sampler_seed` is the list of seeds.
    """

    def __init__(self, scheduler: Any, sampler: Sampler | None, noise: Noise, device: torch.device) -> None:
        self._scheduler = scheduler
        self._shape = (1, *noise.samples.shape[1:])
        self._generators = [torch.Generator("cpu").manual_seed(seed) for seed in noise.seeds]
        self._skip_draws(1)
        if hasattr(scheduler, "noise_sampler"):
            scheduler.noise_sampler = _brownian(scheduler.sigmas, noise, device)
        options: dict[str, Any] = {}
        if sampler is not None:
            options = {**SAMPLERS[sampler.name].options, **dict(sampler.options)}
        if "generator" in inspect.signature(scheduler.step).parameters:
            options["generator"] = self._generators
        self._options = options
        self._injected: Tensor | None = None
        if sampler is not None and sampler.injected:
            self._injected = sampler.injected * noise.samples.to(device)
            self._injected_below = sampler.injected_below * scheduler.config.num_train_timesteps
        self._timesteps: Tensor = scheduler.timesteps
        self.order: int = scheduler.order
        self.steps = self._steps(device)

    def begin(self, first: int) -> None:
        """The run begins with evaluation `first` of the schedule."""
        if hasattr(self._scheduler, "set_begin_index"):
            self._scheduler.set_begin_index(first)

    def pure(self, noise: Tensor) -> Tensor:
        """Where a run from nothing but `noise` (B, C, h, w) begins."""
        return noise * self._scheduler.init_noise_sigma

    def noised(self, latent: Tensor, noise: Tensor, index: int) -> Tensor:
        """`latent` with as much of `noise` as there is before evaluation `index`; both (B, C, h, w)."""
        return self._scheduler.add_noise(latent, noise, self._timesteps[index : index + 1].repeat(latent.shape[0]))

    def resumed(self, scaled: Tensor, first: int) -> Tensor:
        """The sample that `scale` made `scaled` of, for the run that begins with `first`.

        Every step of a stochastic sampler draws once, so the steps that are past have drawn `first` / `order` times.
        """
        self._skip_draws(first // self.order)
        return scaled * self._width(first)

    def kept(self, sample: Tensor, step: Step) -> Tensor:
        """`sample` as a `Latent` with noise of `step.sigma` left in it holds it."""
        return self.scale(sample, step)

    def skipped(self, steps: int, strength: float) -> int:
        """How many of `steps` a run from a picture leaves out: all but the last int(strength · steps), as the stock
        image-to-image pipelines do."""
        return steps - int(steps * strength)

    def scale(self, sample: Tensor, step: Step) -> Tensor:
        """`sample` as the network takes it: of unit variance."""
        return self._scheduler.scale_model_input(sample, self._timesteps[step.index])

    def advance(self, prediction: Tensor, step: Step, sample: Tensor) -> Tensor:
        """The sample at the next noise level."""
        timestep, following = self._timesteps[step.index], step.index + 1
        advanced = self._scheduler.step(prediction, timestep, sample, return_dict=False, **self._options)[0]
        whole = following % self.order == 0 or following == step.total  # not half way through a step
        if self._injected is None or not whole or timestep >= self._injected_below:
            return advanced
        return advanced + (1.0 if following == step.total else self._width(following)) * self._injected

    def _width(self, index: int) -> float:
        """Of a sample before evaluation `index`, relative to unit variance."""
        return 1 / self._scheduler.scale_model_input(torch.ones(1), self._timesteps[index]).item()

    def _steps(self, device: torch.device) -> list[Step]:
        return _steps(self._scheduler, device, _sigmas(self._scheduler), self._scheduler.config.prediction_type)

    def _skip_draws(self, count: int) -> None:
        for generator in self._generators:
            for _ in range(count):
                torch.randn(self._shape, generator=generator)


class FlowSolver(Solver):
    """Takes steps along a straight path: at time t the sample is (1 - t)·x0 + t·noise, and so the network takes it.

    The times are the `sigmas` of diffusers' schedulers; what a `Step` and a `Latent` call sigma is t / (1 - t).
    """

    def pure(self, noise: Tensor) -> Tensor:
        return noise

    def noised(self, latent: Tensor, noise: Tensor, index: int) -> Tensor:
        time = self._scheduler.sigmas[index].to(latent.device)
        return time * noise + (1.0 - time) * latent

    def scale(self, sample: Tensor, step: Step) -> Tensor:
        return sample

    def kept(self, sample: Tensor, step: Step) -> Tensor:
        return sample / _norm(step.time)

    def _width(self, index: int) -> float:
        return _norm(self.steps[index].time)

    def skipped(self, steps: int, strength: float) -> int:
        # These pipelines round the number of steps to do up, where the others round it down.
        return int(max(steps - min(steps * strength, steps), 0))

    def _steps(self, device: torch.device) -> list[Step]:
        times = self._scheduler.sigmas.double().tolist()[: len(self._timesteps)]
        return _steps(self._scheduler, device, [t / (1 - t) if t < 1 else math.inf for t in times], "flow")


def drive(scheduler: Any, sampler: Sampler | None, noise: Noise, device: torch.device, flow: Flow | None) -> Solver:
    """The solver for a path: straight if there is a `flow`."""
    kind = Solver if flow is None else FlowSolver
    return kind(scheduler, sampler, noise, device)


def _norm(time: float) -> float:
    return math.hypot(1 - time, time)


def _steps(scheduler: Any, device: torch.device, sigmas: Sequence[float], kind: str) -> list[Step]:
    timesteps = scheduler.timesteps
    shown = (timesteps.float() if device.type == "mps" else timesteps).to(device)
    total = len(timesteps)
    return [Step(index, total, shown[index], sigmas[index], kind) for index in range(total)]


def _sigmas(scheduler: Any) -> Sequence[float]:
    """Noise relative to signal before each evaluation."""
    if scheduler.order == 1 and hasattr(scheduler, "sigmas"):
        return scheduler.sigmas.tolist()
    # Schedulers of second order keep other lists; what the network is told, the timestep, always names the level.
    import numpy as np

    kept = scheduler.alphas_cumprod.double().clamp(min=2**-24)
    levels = ((1 - kept) / kept).log() / 2
    return np.exp(np.interp(scheduler.timesteps.double().numpy(), range(len(levels)), levels.numpy())).tolist()


def _brownian(sigmas: Tensor, noise: Noise, device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
    from diffusers.schedulers.scheduling_dpmsolver_sde import BrownianTreeNoiseSampler

    lowest, highest = (round(sigma.item(), 6) for sigma in (sigmas[sigmas > 0].min(), sigmas.max()))

    def inside(sigma: Tensor) -> Tensor:
        """torchsde rounds the ends of its interval, and warns where rounding puts a level outside of it."""
        return torch.tensor(min(max(sigma.item(), lowest), highest), dtype=torch.float64)

    tree: Any = BrownianTreeNoiseSampler
    tree = tree(torch.zeros_like(noise.samples), lowest, highest, list(noise.seeds), inside)
    return lambda sigma, following: tree(sigma, following).to(device)
