"""Noise put back late in a run (Li et al., 2023, https://arxiv.org/abs/2312.09608, section "prior noise injection")."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from ...graph.node import NodeError, node
from ..types import Sampler

_KEEPING = ("dpmpp_2s", "unipc")
"""Samplers that go on from samples they keep themselves: what is added in between would be lost."""


@node
def inject_noise(
    sampler: Sampler,
    strength: Annotated[float, Field(ge=0, le=1, description="how much, relative to unit variance; 0: none")] = 0.003,
    below: Annotated[
        float, Field(ge=0, le=1, description="after steps from below this share of the timesteps; 1: after all")
    ] = 0.5,
) -> Sampler:
    """Add a little of the noise the run began from after each late step, for texture that caches smooth away.

    Made for faster_diffusion. The strength is the same for all samplers: where a sampler's latents are wider than unit
    variance, so is what is added. https://arxiv.org/abs/2312.09608
    """
    if sampler.name in _KEEPING and strength:
        raise NodeError(
            f"Sampler {sampler.name} goes on from samples it keeps itself, and would lose the noise; "
            "euler, ddim or dpmpp_2m keep it."
        )
    return replace(sampler, injected=strength, injected_below=below if strength else Sampler.injected_below)
