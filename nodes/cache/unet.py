"""The UNet of Stable Diffusion taken apart, so that a step can run a part of it.

A UNet is a ladder of levels. Level 0 is the outermost: going down, each layer (the first convolution, then each
residual block with its attention, then each downsampler) leaves a skip; going up, each layer takes one back, the last
skip first:

    skips[0] = conv_in(x),  skips[i] = down[i - 1](skips[i - 1]) for i = 1 ... n - 1
    h = mid(skips[n - 1]),  h = up[i](h, skips[i]) for i = n - 1 ... 0

Put together again these are `UNet2DConditionModel.forward`, operation by operation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ...graph.node import NodeError

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel

DOWN = ("CrossAttnDownBlock2D", "DownBlock2D")
UP = ("CrossAttnUpBlock2D", "UpBlock2D")


@dataclass(frozen=True, eq=False)
class Told:
    """What every layer is told: the embedded timestep (B, E) and the prompt's tokens (B, L, D)."""

    embedding: Tensor
    tokens: Tensor


Down = Callable[[Tensor, Told], Tensor]
Up = Callable[[Tensor, Tensor, Told, "tuple[int, int] | None"], Tensor]
"""From hidden state, skip, what is told, and the size to leave where it upsamples to one that is not twice its own."""


class Ladder:
    """The levels of `unet`. Raises `NodeError` for a UNet of other blocks."""

    def __init__(self, unet: UNet2DConditionModel, method: str) -> None:
        others = {type(block).__name__ for block in [*unet.down_blocks, *unet.up_blocks]} - {*DOWN, *UP}
        if others or unet.mid_block is None:
            raise NodeError(
                f"{method} knows the UNets of Stable Diffusion (blocks {', '.join(DOWN + UP)}); this one has "
                f"{', '.join(sorted(others)) or 'no middle block'}."
            )
        self.unet = unet
        self.down = [layer for block in unet.down_blocks for layer in _down_layers(block)]
        self.up = [layer for block in unet.up_blocks for layer in _up_layers(block)][::-1]
        self._factor = 2**unet.num_upsamplers

    def __len__(self) -> int:
        return len(self.up)

    def told(
        self,
        sample: Tensor,
        timestep: Tensor | float,
        encoder_hidden_states: Tensor,
        timestep_cond: Tensor | None = None,
        added_cond_kwargs: dict[str, Any] | None = None,
    ) -> Told:
        unet = self.unet
        embedding = unet.time_embedding(unet.get_time_embed(sample=sample, timestep=timestep), timestep_cond)
        added = unet.get_aug_embed(
            emb=embedding, encoder_hidden_states=encoder_hidden_states, added_cond_kwargs=added_cond_kwargs or {}
        )
        if added is not None:
            embedding = embedding + added
        if unet.time_embed_act is not None:
            embedding = unet.time_embed_act(embedding)
        tokens = unet.process_encoder_hidden_states(
            encoder_hidden_states=encoder_hidden_states, added_cond_kwargs=added_cond_kwargs or {}
        )
        return Told(embedding, tokens)

    def descend(self, sample: Tensor, told: Told, levels: int | None = None) -> list[Tensor]:
        """The skips of the outermost `levels`, or of all."""
        skips = [self.unet.conv_in(sample)]
        for layer in self.down[: len(self) - 1 if levels is None else levels - 1]:
            skips.append(layer(skips[-1], told))
        return skips

    def middle(self, hidden: Tensor, told: Told) -> Tensor:
        block: Any = self.unet.mid_block
        if getattr(block, "has_cross_attention", False):
            return block(hidden, told.embedding, encoder_hidden_states=told.tokens)
        return block(hidden, told.embedding)

    def ascend(
        self, hidden: Tensor, skips: Sequence[Tensor], told: Told, levels: range, keep: int | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """The hidden state after `levels`, which count down, and the one that went into level `keep`."""
        kept = None
        odd = any(side % self._factor for side in skips[0].shape[-2:])
        for level in levels:
            if level == keep:
                kept = hidden
            height, width = skips[level - 1].shape[-2:]
            size = (height, width) if odd and level else None
            hidden = self.up[level](hidden, skips[level], told, size)
        return hidden, kept

    def finish(self, hidden: Tensor) -> Tensor:
        unet = self.unet
        if unet.conv_norm_out is not None and unet.conv_act is not None:
            hidden = unet.conv_act(unet.conv_norm_out(hidden))
        return unet.conv_out(hidden)


def _down_layers(block: Any) -> list[Down]:
    attentions = block.attentions if hasattr(block, "attentions") else [None] * len(block.resnets)
    layers = [_residual(resnet, attention) for resnet, attention in zip(block.resnets, attentions, strict=True)]
    return [*layers, *(lambda hidden, told, down=down: down(hidden) for down in block.downsamplers or ())]


def _up_layers(block: Any) -> list[Up]:
    attentions = block.attentions if hasattr(block, "attentions") else [None] * len(block.resnets)
    pairs = list(zip(block.resnets, attentions, strict=True))
    return [
        _joined(_residual(resnet, attention), block.upsamplers if number == len(pairs) else None)
        for number, (resnet, attention) in enumerate(pairs, start=1)
    ]


def _residual(resnet: Any, attention: Any) -> Down:
    def layer(hidden: Tensor, told: Told) -> Tensor:
        hidden = resnet(hidden, told.embedding)
        return (
            hidden if attention is None else attention(hidden, encoder_hidden_states=told.tokens, return_dict=False)[0]
        )

    return layer


def _joined(layer: Down, upsamplers: Any) -> Up:
    def up(hidden: Tensor, skip: Tensor, told: Told, size: tuple[int, int] | None) -> Tensor:
        hidden = layer(torch.cat([hidden, skip], dim=1), told)
        for upsampler in upsamplers or ():
            hidden = upsampler(hidden, size)
        return hidden

    return up
