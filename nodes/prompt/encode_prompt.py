"""Say in words what the picture should show."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...graph.node import node
from ...graph.progress import QUIET, Progress
from ..types import Conditioning, Model


@node
def encode_prompt(
    model: Model,
    text: Annotated[
        str,
        Field(
            description="(word) and (word:1.3) strengthen, [word] weakens, \\( is a bracket, BREAK begins a chunk",
            json_schema_extra={"format": "textarea"},
        ),
    ],
    clip_skip: Annotated[int, Field(ge=0, le=24, description="layers of the text encoder left out at its end")] = 0,
    progress: Progress = QUIET,
) -> Conditioning:
    """Encode a prompt with the model's text encoders.

    Any length is read: beyond what the encoder takes at once (75 tokens), in chunks that are joined. Tokens (1, L, D)
    and, where the model has it, pooled (1, P). Without weights and up to one chunk, the numbers are those of the stock
    pipeline. T5, which Stable Diffusion 3, Flux and PixArt read with, takes one text of a fixed length and no more.
    """
    import torch

    from ..models.live import use

    with torch.no_grad(), use(model, progress) as parts:
        return parts.family.encode(parts, [text], clip_skip, progress)
