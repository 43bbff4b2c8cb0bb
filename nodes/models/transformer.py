"""A transformer at one noise level, as the stock pipelines call it; what differs from family to family is handed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ...graph.node import NodeError
from ..types import Conditioning
from .call import narrowed
from .conditioning import Told, by_length, rows
from .family import Predict
from .live import Parts
from .loading import attention_kernel

Change = Callable[[Tensor], Tensor]


def _same(tensor: Tensor) -> Tensor:
    return tensor


def predictor(
    parts: Parts,
    latent_shape: Sequence[int],
    width: int,
    tell: Callable[[Sequence[Conditioning], Tensor], dict[str, Any]],
    enter: Change = _same,
    leave: Change = _same,
    clock: Change = _same,
) -> Predict:
    """`Predict` for latents of shape (B, C, h, w), with one network call for all branches whose prompts are equally
    long.

    The network takes prompts `width` wide. `tell` gives what it is told of branches beside their tokens
    (branches * B, L, width); `enter` makes its input of a latent, `leave` a prediction (B, C, h, w) of its output,
    `clock` its time of a timestep.
    """
    transformer, device, dtype = parts.denoiser, parts.placement.device, parts.placement.dtype
    images, made = latent_shape[0], parts.description.latent_channels
    if latent_shape[1] != made:
        raise NodeError(f"The latent has {latent_shape[1]} channels; {parts.model.source} works on {made}.")

    @Told
    def told(branches: Sequence[Conditioning]) -> dict[str, Any]:
        for branch in branches:
            if branch.tokens.shape[-1] != width:
                raise NodeError(
                    f"The prompt was encoded {branch.tokens.shape[-1]} wide and {parts.model.source} takes {width}: "
                    "encode it with this model."
                )
        tokens = rows([branch.tokens for branch in branches], images).to(device, dtype)
        return {"encoder_hidden_states": tokens, **tell(branches, tokens)}

    def predict(sample: Tensor, timestep: Tensor | float, branches: Sequence[Conditioning]) -> tuple[Tensor, ...]:
        entered, times = enter(sample).to(device, dtype), clock(torch.as_tensor(timestep, device=device))

        def run(chosen: Sequence[Conditioning]) -> Sequence[Tensor]:
            given = torch.cat([entered] * len(chosen))
            with attention_kernel(parts.placement.attention), narrowed(chosen):
                predicted = transformer(given, timestep=times.expand(len(given)), return_dict=False, **told(chosen))[0]
            return leave(predicted.to(sample.dtype)).chunk(len(chosen))

        return by_length(branches, run)

    return predict


def pooled(parts: Parts, branches: Sequence[Conditioning], like: Tensor, images: int) -> Tensor:
    """Pooled prompts (branches * images, P), where and as `like` is. Raises `NodeError` where there is none."""
    found = [branch.pooled for branch in branches if branch.pooled is not None]
    if len(found) < len(branches):
        raise NodeError(f"{parts.model.source} is told a pooled prompt too; encode the prompt with this model.")
    return rows(found, images).to(like)


def check_no_skip(clip_skip: int, title: str) -> None:
    """Raises `NodeError` for layers of CLIP left out where none gives tokens."""
    if clip_skip:
        raise NodeError(f"clip_skip {clip_skip} has no effect on {title}, whose tokens come from T5; leave it 0.")
