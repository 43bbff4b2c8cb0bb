"""How a step is taken."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...graph.node import NodeError, node
from ..types import Sampler
from .samplers import SAMPLERS, Name


@node
def sampler(
    name: Annotated[Name, Field(description="which solver takes the steps")] = "dpmpp_2m",
    eta: Annotated[
        float | None,
        Field(
            ge=0, le=1, description="share of fresh noise in each step, for ddim (0) and tcd (0.3); empty is its own"
        ),
    ] = None,
) -> Sampler:
    """Choose the solver. Without this node the model's own is used.

    The same picture at more and more steps: euler, heun, lms, ddim, pndm, dpmpp_2m, dpmpp_2s, unipc.
    With fresh noise in every step: euler_ancestral, ddpm, dpmpp_2m_sde, dpmpp_sde, ddim with eta.
    For models distilled to few steps: lcm (https://arxiv.org/abs/2310.04378), tcd (https://arxiv.org/abs/2402.19159).
    heun and dpmpp_sde evaluate the network twice a step.
    """
    if eta is None:
        return Sampler(name)
    if "eta" not in SAMPLERS[name].options:
        takers = [other for other, entry in SAMPLERS.items() if "eta" in entry.options]
        raise NodeError(f"Sampler {name} has no eta; {' and '.join(takers)} have. Leave it empty.")
    return Sampler(name, (("eta", eta),))
