"""Guidance by a class of diffusers' `guiders`, which turn the predictions of two branches into one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..models.family import Predict
from ..types import Guidance
from .guide import Conditions, Guide, Step

if TYPE_CHECKING:
    from torch import Tensor


class LibraryGuidance(Guidance):
    """What one of diffusers' guiders does; methods say which, and with what."""

    def guider(self) -> Any:
        """A fresh `diffusers.guiders.BaseGuidance`, with the state of one run."""
        raise NotImplementedError

    def begin(self, conditions: Conditions) -> Guide:
        guider = self.guider()

        def guide(predict: Predict, sample: Tensor, step: Step) -> Tensor:
            guider.set_state(step.index, step.total, step.timestep)
            if guider.num_conditions == 1:
                return guider.forward(predict(sample, step.timestep, (conditions.positive,))[0]).pred
            negative, positive = predict(sample, step.timestep, (conditions.negative, conditions.positive))
            return guider.forward(positive, negative).pred

        return guide
