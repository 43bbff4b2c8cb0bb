"""A way to sample, as a value that can be measured."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...graph.node import node
from ..types import Guidance, Method, Methods, Model, Sampler, Schedule


@node
def method(
    model: Model,
    schedule: Schedule | None = None,
    sampler: Sampler | None = None,
    guidance: Guidance | None = None,
    name: Annotated[str, Field(min_length=1, max_length=100, description="in tables and figures")] = "plain",
) -> Methods:
    """Put together what denoise is told of how to sample, under a name, to measure it beside others.

    What is not wired is as in denoise: 25 steps, the model's own sampler, guidance as strong as is usual for it.
    """
    from ..guidance.classifier_free import ClassifierFree
    from ..models.inspect import describe

    guidance = guidance or ClassifierFree(describe(model).guidance)
    return Methods((Method(name, name, model, schedule or Schedule(steps=25), guidance, sampler),))
