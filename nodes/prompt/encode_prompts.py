"""Many prompts at once, one for each picture of a batch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...graph.node import node
from ...graph.progress import QUIET, Progress
from ..types import Conditioning, Model, Prompts


@node
def encode_prompts(
    model: Model,
    prompts: Prompts,
    clip_skip: Annotated[int, Field(ge=0, le=24, description="layers of the text encoder left out at its end")] = 0,
    progress: Progress = QUIET,
) -> Conditioning:
    """Encode prompt i for picture i of a batch: tokens (N, L, D) and, where the model has it, pooled (N, P).

    Each is read as encode_prompt reads it. The batch needs as many pictures as there are prompts.
    """
    import torch

    from ..models.live import use

    with torch.no_grad(), use(model, progress) as parts:
        return parts.family.encode(parts, prompts.texts, clip_skip, progress)
