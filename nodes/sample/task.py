"""What a run of the loop starts from, how much of the schedule it does, and what it must leave as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ...graph.node import NodeError
from ..guidance.guide import Step
from ..schedule.solver import Solver
from ..types import Latent, Mask, Noise


@dataclass(frozen=True, eq=False)
class Task:
    """What `denoise` is asked for; `steps` is the length of the whole schedule."""

    noise: Noise
    latent: Latent | None
    mask: Mask | None
    strength: float
    start_step: int
    end_step: int
    steps: int

    @classmethod
    def whole(cls, noise: Noise, steps: int) -> Task:
        """A run from nothing but noise, from its first step to its last."""
        return cls(noise, None, None, strength=1.0, start_step=0, end_step=0, steps=steps)

    def check(self) -> None:
        """Raises `NodeError` for what does not fit together, all problems in one message."""
        if problems := [*self._misfits(), *self._misuses()]:
            raise NodeError(" ".join(problems))

    def span(self, solver: Solver) -> tuple[int, int]:
        """The evaluations to do: from the first, to before the second."""
        first = max(self.start_step, solver.skipped(self.steps, self.strength)) * solver.order
        total = len(solver.steps)
        return first, min(self.end_step * solver.order, total) if 0 < self.end_step < self.steps else total

    def begin(self, solver: Solver, first: int, device: torch.device) -> Tensor:
        """The sample (B, C, h, w) at evaluation `first`."""
        solver.begin(first)
        noise = self.noise.samples.to(device)
        if self.latent is None:
            return solver.pure(noise)
        original = self.latent.samples.to(device)
        if self.latent.sigma > 0:
            self._check_level(solver, first)
            return solver.resumed(original, first)
        if self.mask is not None and self.strength == 1 and first == 0:  # the stock inpainting pipelines begin so
            return solver.pure(noise)
        return solver.noised(original.expand_as(noise), noise, first)

    def keeper(self, solver: Solver, device: torch.device) -> Callable[[Tensor, Step], Tensor] | None:
        """Puts back, after each step, what the mask does not cover, with the noise that belongs there by then."""
        if self.mask is None or self.latent is None:
            return None
        noise = self.noise.samples.to(device)
        original = self.latent.samples.to(device).expand_as(noise)
        mask = interpolate(self.mask.values, size=noise.shape[-2:]).to(device)

        def keep(sample: Tensor, step: Step) -> Tensor:
            following = step.index + 1
            kept = original if following == step.total else solver.noised(original, noise, following)
            return (1 - mask) * kept + mask * sample

        return keep

    def _misfits(self) -> list[str]:
        """Tensors of shapes that do not go together."""
        problems = []
        images, *shape = self.noise.samples.shape
        if len(self.noise.seeds) != images:
            problems.append(f"The noise has {images} images and {len(self.noise.seeds)} seeds; make it anew.")
        if self.latent is not None and list(self.latent.samples.shape[1:]) != shape:
            given = list(self.latent.samples.shape[1:])
            problems.append(f"The latent is {given} and the noise {shape}; make the noise of this latent.")
        if self.latent is not None and len(self.latent.samples) not in (1, images):
            problems.append(f"There are {len(self.latent.samples)} latents for {images} noises; give one, or as many.")
        if self.mask is not None:
            masks, _, height, width = self.mask.values.shape
            if masks not in (1, images):
                problems.append(f"There are {masks} masks for {images} images; give one, or one for each.")
            if height * shape[-1] != width * shape[-2]:
                problems.append(
                    f"The mask is {width}x{height} pixels, which is not the shape of the picture "
                    f"({shape[-1]}:{shape[-2]}); make it as large as the picture."
                )
        return problems

    def _misuses(self) -> list[str]:
        """Settings that do not go together."""
        problems = []
        if self.start_step >= self.steps:
            problems.append(f"start_step {self.start_step} is behind the {self.steps} steps of the schedule.")
        if 0 < self.end_step <= self.start_step:
            problems.append(f"end_step {self.end_step} is not after start_step {self.start_step}.")
        if self.strength < 1 and self.start_step > 0:
            problems.append("strength and start_step both say where to begin; leave strength at 1 or start_step at 0.")
        if self.latent is None:
            wanting = {"strength": self.strength < 1, "start_step": self.start_step > 0, "mask": self.mask is not None}
            problems += [f"{name} needs a latent to begin from; wire one." for name, given in wanting.items() if given]
        elif self.latent.sigma > 0:
            wanting = {"strength": self.strength < 1, "mask": self.mask is not None}
            problems += [
                f"{name} needs a finished latent, and this one has noise left in it from a run that ended early."
                for name, given in wanting.items()
                if given
            ]
        return problems

    def _check_level(self, solver: Solver, first: int) -> None:
        """Refuses a latent with far more or less noise left than the first step takes away."""
        assert self.latent is not None
        left, expected = self.latent.sigma, solver.steps[first].sigma
        if not 0.5 < left / expected < 2:
            begins = solver.steps[:: solver.order]
            nearest = min(begins, key=lambda step: abs(step.sigma - left)).index // solver.order
            raise NodeError(
                f"The latent has noise of {left:.2f} left in it, and step {self.start_step} of this schedule begins at "
                f"{expected:.2f}; take start_step {nearest}."
            )
