"""One method in several settings."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...graph.node import NodeError, node
from ..types import Methods

Value = bool | int | float | str


@node
def sweep(
    methods: tuple[Methods, ...],
    setting: Annotated[
        str,
        Field(
            min_length=1,
            max_length=200,
            description="what changes: steps, sampler.name, guidance.scale, deepcache.interval, ...",
        ),
    ] = "steps",
    values: Annotated[
        list[Value], Field(min_length=1, max_length=100, description="what it is set to, one method each")
    ] = [25, 20, 15, 10],  # noqa: B006 - never changed
) -> Methods:
    """Give each method once with each value of one of its settings.

    A setting is named by the node that it is of, or by `schedule`, `sampler` or `guidance`, and by itself; alone where
    only one has it. Of guidances inside of each other the outermost that has it is meant, or the one named:
    `guidance.scale`, `adaptive_guidance.threshold`. A wrong name is answered with all there are.
    """
    from .sweeping import changed

    if not methods:
        raise NodeError("There is no method to sweep: wire one or more into methods.")
    return Methods(
        tuple(changed(one, setting, value) for several in methods for one in several.each for value in values)
    )
