"""What step rehash and the measurement it rests on share: what is kept of a step, and which steps to keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from ...graph.node import NodeError

if TYPE_CHECKING:
    from torch import nn

Kept = Literal["last_layer", "prediction"]
"""What goes into the outermost layer on the way up, joined with its skip; or all that the network gives."""


def last_layer(unet: nn.Module) -> Any:
    """The module whose input is what `last_layer` keeps. Raises `NodeError` where there is none."""
    blocks: Any = getattr(unet, "up_blocks", None)
    if blocks is None:
        raise NodeError(
            f"{type(unet).__name__} has no way up whose last layer could be run alone; set keep to prediction."
        )
    return blocks[-1].resnets[-1]


def find_key_steps(similarity: Sequence[Sequence[float]], threshold: float) -> tuple[int, ...]:
    """The steps to compute: a step less like the last key step than `threshold` is the next one. The first and the
    last are always among them.

    Algorithm 1 of https://arxiv.org/abs/2411.01171, in which a key step counts as like itself whatever the threshold.
    """
    keys = [0]
    for step in range(1, len(similarity)):
        if similarity[step][keys[-1]] < threshold or step == len(similarity) - 1:
            keys.append(step)
    return tuple(keys)
