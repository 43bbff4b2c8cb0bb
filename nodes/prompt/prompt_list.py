"""Several prompts, written one below the other."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...graph.node import NodeError, node
from ..types import Prompts


@node
def prompt_list(
    text: Annotated[
        str,
        Field(
            max_length=1_000_000,
            description="one prompt a line; empty lines are passed over",
            json_schema_extra={"format": "textarea"},
        ),
    ],
) -> Prompts:
    """Prompts for a batch, one for each picture, in the order of the lines."""
    texts = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not texts:
        raise NodeError("The list of prompts is empty; write one prompt a line.")
    return Prompts(texts)
