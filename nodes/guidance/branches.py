"""What methods that stand around another guidance share: a look at the branches it evaluates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..models.family import Predict
from ..types import Conditioning

if TYPE_CHECKING:
    from torch import Tensor


class Watched:
    """A `Predict` that remembers what the last step evaluated: each branch with its prediction (B, C, h, w)."""

    def __init__(self, predict: Predict) -> None:
        self._predict = predict
        self.seen: list[tuple[Conditioning, Tensor]] = []

    def __call__(
        self, sample: Tensor, timestep: Tensor | float, branches: Sequence[Conditioning]
    ) -> tuple[Tensor, ...]:
        predictions = self._predict(sample, timestep, branches)
        self.seen += zip(branches, predictions, strict=True)
        return predictions

    def pair(self, positive: Conditioning) -> tuple[Tensor, Tensor] | None:
        """The predictions of `positive` and of the first branch beside it; `None` where one of them was not asked."""
        of_positive = next((prediction for branch, prediction in self.seen if branch is positive), None)
        other = next((prediction for branch, prediction in self.seen if branch is not positive), None)
        return None if of_positive is None or other is None else (of_positive, other)


def per_image(values: Tensor, like: Tensor) -> Tensor:
    """`values` (B,) shaped to multiply `like` (B, C, h, w)."""
    return values.view(-1, *[1] * (like.dim() - 1))


def inner(a: Tensor, b: Tensor) -> Tensor:
    """<a, b> (B,) of each image, over all its dimensions, in float32 at least."""
    import torch

    exact = torch.promote_types(torch.promote_types(a.dtype, b.dtype), torch.float32)
    return (a.flatten(1).to(exact) * b.flatten(1).to(exact)).sum(1)


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """The cosine (B,) between a and b (B, C, h, w), image by image; 1 where one of them is nothing."""
    import torch

    lengths = (inner(a, a) * inner(b, b)).sqrt()
    return torch.where(lengths > 0, inner(a, b) / lengths.clamp_min(1e-30), torch.ones_like(lengths))
