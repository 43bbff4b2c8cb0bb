"""Guidance away from what the same network, made worse, says of the same prompt; combined by diffusers' own guiders.

e = e_u + w (e_c - e_u) + s (e_c - e_p)      e_p: the conditional prediction with some layers perturbed
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..models.family import Predict
from ..types import Guidance
from .guide import Conditions, Guide, Step
from .library import LibraryGuidance

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Perturbed(LibraryGuidance):
    """w and s of the formula, the perturbed `layers`, and between which shares of the run they are perturbed."""

    scale: float
    weight: float
    layers: tuple[int, ...]
    start: float
    stop: float

    def perturbation(self, denoiser: nn.Module) -> Callable[[Tensor], AbstractContextManager[object]]:
        """What makes `denoiser` worse while its context lasts, for a sample (B, C, h, w). Raises `NodeError` where it
        cannot."""
        raise NotImplementedError

    @property
    def told_weight(self) -> float:
        """s as diffusers counts it: without e_u it starts from e_p, so that 1 is what does nothing."""
        return self.weight + 1 if self.scale == 1 and self.weight else self.weight

    def begin(self, conditions: Conditions) -> Guide:
        guider: Any = self.guider()
        if not self.start:  # diffusers leaves out the step at which it starts, which for the first is not meant
            name = "seg_guidance_start" if hasattr(guider, "seg_guidance_start") else "skip_layer_guidance_start"
            setattr(guider, name, -1.0)
        perturbed = self.perturbation(conditions.network.denoiser) if self.weight else None
        worse = replace(conditions.positive)  # a branch of its own, which caches keep apart

        def guide(predict: Predict, sample: Tensor, step: Step) -> Tensor:
            guider.set_state(step.index, step.total, step.timestep)
            plain = (conditions.positive,) if self.scale == 1 else (conditions.negative, conditions.positive)
            *negative, positive = predict(sample, step.timestep, plain)
            if perturbed is None or guider.num_conditions == len(plain):
                return guider.forward(positive, *negative).pred
            with perturbed(sample):
                (badly,) = predict(sample, step.timestep, (worse,))
            return guider.forward(positive, negative[0] if negative else None, badly).pred

        return guide

    def distilled(self) -> tuple[float | None, Guidance | None]:
        return self.scale, replace(self, scale=1.0)
