"""Adaptive Guidance (Castillo et al., 2023, https://arxiv.org/abs/2312.12487).

gamma_t = <e_c, e_u> / (|e_c| |e_u|), of each image, over all its dimensions.
Once gamma_t >= threshold, the unconditional branch is not evaluated any more, from the next step to the end: N + k
calls instead of 2 N, where k steps were guided. At most half of the calls can be saved.

The cosine is that of the denoised predictions (`space` x0) or of what the network gives (`prediction`). The noise
predictions of an epsilon model agree to more than 0.9999 from the first step on, as they are nearly the noise itself:
there the cosine of the denoised predictions is what tells. The paper's threshold, for predictions in its own model's
space, is 0.991 for a saving of a quarter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from ...graph.node import node
from ..models.family import Predict
from ..types import Guidance
from .branches import Watched, cosine, per_image
from .guide import Conditions, Guide, Step

if TYPE_CHECKING:
    from torch import Tensor

Space = Literal["x0", "prediction"]


@dataclass(frozen=True)
class Adaptive(Guidance):
    """`guidance` of an image until its branches agree to `threshold`, then the positive branch alone.

    In a batch each image is let go by itself, so that it comes out as it would alone; calls are saved once all are.
    """

    guidance: Guidance
    threshold: float
    space: Space = "x0"

    def begin(self, conditions: Conditions) -> Guide:
        import torch

        guided = self.guidance.begin(conditions)
        agreed: Tensor | None = None  # (B,) which images are let go

        def guide(predict: Predict, sample: Tensor, step: Step) -> Tensor:
            nonlocal agreed
            if agreed is not None and bool(agreed.all()):
                return predict(sample, step.timestep, (conditions.positive,))[0]
            watched = Watched(predict)
            result = guided(watched, sample, step)
            pair = watched.pair(conditions.positive)
            if pair is None or self.threshold >= 1:
                return result
            if agreed is not None and bool(agreed.any()):
                result = torch.where(per_image(agreed, result), pair[0], result)
            compared = pair if self.space == "prediction" else [step.denoised(sample, each) for each in pair]
            passed = cosine(*compared) >= self.threshold
            agreed = passed if agreed is None else agreed | passed
            return result

        return guide


@node
def adaptive_guidance(
    guidance: Guidance,
    threshold: Annotated[
        float,
        Field(ge=-1, le=1, description="how far the branches must agree; 1: to the end, -1: guide once"),
    ] = 0.991,
    space: Annotated[
        Space, Field(description="compare the denoised latents, or what the network predicts (for flow models)")
    ] = "x0",
) -> Guidance:
    """Stop paying for the unconditional branch once both predictions agree.

    Stands around any other guidance. The report's count of network calls tells when it stopped.
    https://arxiv.org/abs/2312.12487
    """
    return Adaptive(guidance, threshold, space)
