"""A scheduler of diffusers at work in one run."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..guidance.guide import Step
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
        self._timesteps: Tensor = scheduler.timesteps
        self.order: int = scheduler.order
        self.steps = _steps(scheduler, device)

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
        return scaled / self._scheduler.scale_model_input(torch.ones(1), self._timesteps[first]).item()

    def scale(self, sample: Tensor, step: Step) -> Tensor:
        """`sample` as the network takes it: of unit variance."""
        return self._scheduler.scale_model_input(sample, self._timesteps[step.index])

    def advance(self, prediction: Tensor, step: Step, sample: Tensor) -> Tensor:
        """The sample at the next noise level."""
        timestep = self._timesteps[step.index]
        return self._scheduler.step(prediction, timestep, sample, return_dict=False, **self._options)[0]

    def _skip_draws(self, count: int) -> None:
        for generator in self._generators:
            for _ in range(count):
                torch.randn(self._shape, generator=generator)


def _steps(scheduler: Any, device: torch.device) -> list[Step]:
    timesteps = scheduler.timesteps
    shown = (timesteps.float() if device.type == "mps" else timesteps).to(device)
    sigmas, total, kind = _sigmas(scheduler), len(timesteps), scheduler.config.prediction_type
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
