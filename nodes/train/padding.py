"""However much padding follows a prompt, the picture stays the same.

Without a T5 encoder the stock pipeline of Stable Diffusion 3 puts 256 tokens of zeros where T5's would stand. They have
no place of their own, so n of them are in every layer one token that weighs n times as much in attention: one with log
n added to its scores. Trained with one such token, and log n drawn anew for every picture, a network learns not to look
at it; training then costs one token in place of 256, and a picture does not depend on how many there are.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from ..models.instead import Given, Instead

HEAVIEST = 32.0
"""The highest log n. A network that holds out against as many tokens as that does not see 256 of them."""


def padding_weights(images: int, step: int, generator: torch.Generator) -> Tensor:
    """log n (images,) for a training step; the heaviest come by and by, because nothing is learnt under them."""
    most = min(HEAVIEST, 4 + 12 * step / 1000)
    return most * torch.rand(images, generator=generator)


class LastKeyWeighs(Instead):
    """While this lasts, attention adds `scores` (B,) to those of the last key, which stands for many."""

    def __init__(self, scores: Tensor) -> None:
        super().__init__(self._weighed)
        self._scores = scores

    def _weighed(self, given: Given) -> Tensor:
        mask = torch.zeros(len(self._scores), 1, 1, given.key.shape[-2])
        mask[..., -1] = self._scores[:, None, None]
        return scaled_dot_product_attention(**given._replace(attn_mask=mask)._asdict())
