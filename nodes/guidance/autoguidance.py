"""Autoguidance (Karras et al., 2024, https://arxiv.org/abs/2406.02507), by diffusers' own guider.

A model is guided away from a worse version of itself, one that is smaller or was trained for a shorter time:

e = e_0 + w (e_1 - e_0)        e_1: the model's prediction, e_0: the worse one's

With `weak` e_0 is that model's prediction for the same prompt, as in the paper. Without it e_0 is what the model itself
says of the negative prompt with some layers left out, as in diffusers: classifier-free guidance and autoguidance at
once. Both evaluate twice a step from `start` to `stop`, elsewhere once.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from ...graph.node import NodeError, node
from ..models.family import Predict
from ..types import Guidance, Model
from .guide import Conditions, Guide, Step
from .layers import Layers, check_not_kept, chosen, left_out
from .library import LibraryGuidance

if TYPE_CHECKING:
    from diffusers.guiders import AutoGuidance
    from torch import Tensor


@dataclass(frozen=True)
class Auto(LibraryGuidance):
    """w of the formula, and what is worse: another model, or the model itself without `layers`."""

    scale: float
    weak: Model | None
    layers: tuple[int, ...]
    start: float
    stop: float

    def guider(self) -> AutoGuidance:
        from diffusers.guiders import AutoGuidance

        return AutoGuidance(
            self.scale, auto_guidance_layers=[0], dropout=1.0, start=float(self.start), stop=float(self.stop)
        )

    def begin(self, conditions: Conditions) -> Guide:
        guider: Any = self.guider()
        positive = conditions.positive
        weak: Predict | None = None
        worsened: Callable[[], AbstractContextManager[object]] = nullcontext
        worse = positive
        if self.scale != 1 and self.weak is not None:
            weak, worse = conditions.network.other(self.weak), replace(positive)
        elif self.scale != 1:
            layers = chosen(conditions.network.denoiser, self.layers, "Autoguidance")
            check_not_kept(layers, "Autoguidance")
            worsened, worse = lambda: left_out(layers), replace(conditions.negative)

        def guide(predict: Predict, sample: Tensor, step: Step) -> Tensor:
            guider.set_state(step.index, step.total, step.timestep)
            if guider.num_conditions == 1:
                return guider.forward(predict(sample, step.timestep, (positive,))[0]).pred
            with worsened():  # before the good one, so that a prompt the weak model cannot read is told first
                (badly,) = (weak or predict)(sample, step.timestep, (worse,))
            (well,) = predict(sample, step.timestep, (positive,))
            return guider.forward(well, badly).pred

        return guide

    def distilled(self) -> tuple[float | None, Guidance | None]:
        return None, self


@node(title="AutoGuidance")
def autoguidance(
    weak: Model | None = None,
    scale: Annotated[float, Field(ge=1, le=100, description="how far to move away from the worse; 1: not")] = 2.0,
    layers: Layers = [],  # noqa: B006
    start: Annotated[float, Field(ge=0, le=1, description="share of the run from which on it guides")] = 0.0,
    stop: Annotated[float, Field(ge=0, le=1, description="share of the run up to which it guides")] = 1.0,
) -> Guidance:
    """Guide a model by a bad version of itself.

    Wire a smaller or less trained model of the same kind to `weak`; `layers` is then not used. Without one the model
    itself is made worse by leaving out `layers`, for the negative prompt. https://arxiv.org/abs/2406.02507
    """
    if weak is not None and layers:
        raise NodeError("The weak model is worse by itself: layers are for autoguidance without one; leave them empty.")
    return Auto(scale, weak, tuple(layers), start, stop)
