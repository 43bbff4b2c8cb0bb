"""Classifier-free guidance, https://arxiv.org/abs/2207.12598, and its rescaling, https://arxiv.org/abs/2305.08891."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...graph.node import node
from ..types import Guidance
from .classifier_free import ClassifierFree


@node
def cfg(
    scale: Annotated[
        float, Field(ge=1, le=100, description="how closely to follow the prompt; 1 is no guidance")
    ] = 7.5,
    rescale: Annotated[
        float, Field(ge=0, le=1, description="share of the contrast guidance adds that is taken back; 0.7 is usual")
    ] = 0.0,
) -> Guidance:
    """Follow the prompt by moving away from what the negative prompt, or no prompt, would give.

    A scale of 1 evaluates the positive branch alone, which halves the cost; the negative prompt then has no effect.
    `rescale` mends the overexposure of high scales. https://arxiv.org/abs/2207.12598, https://arxiv.org/abs/2305.08891
    """
    return ClassifierFree(scale, rescale)
