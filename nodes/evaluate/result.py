"""Pictures made by hand, beside those of a measurement."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...graph.node import node
from ..types import Image, Measured, Report, Results


@node
def result(
    image: Image,
    report: Report,
    name: Annotated[str, Field(min_length=1, max_length=100, description="in tables and figures")] = "plain",
) -> Results:
    """Put pictures and the report of their run under a name, so that compare sets them beside others.

    For any branches of a workflow, made on the same noise and prompts. Their time is that of one run: measure repeats
    runs by turns, which tells more.
    """
    return Results((Measured(name, name, image, report, report.total_seconds),))
