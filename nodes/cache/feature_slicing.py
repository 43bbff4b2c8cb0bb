"""Feature slicing, of Streamlined Inference (Zhan et al., 2024, https://arxiv.org/abs/2411.01171).

Layers that treat the rows of a batch apart (pictures and branches; in the paper frames) are given a slice of it at a
time, all of a residual block or of a transformer at once, so that what they make in between exists for one slice alone:

    y = [f(x_1), ..., f(x_k)],   x = [x_1, ..., x_k]

The feed-forward part of a transformer block, which is 8 times as wide as the block, also treats tokens apart. The work
is the same, in more and smaller pieces; what is in between shrinks to 1 / k, what goes in and comes out stays. Equal up
to the order in which a kernel of another size adds, 1e-5 in float32.

The authors also slice temporal layers by pixels, which is exact only with the statistics of the whole picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from pydantic import Field

from ...graph.node import NodeError, node
from ..models.forward import forward_replaced
from ..types import Model, Patch

if TYPE_CHECKING:
    from torch import Tensor, nn

BY_ROWS = ("ResnetBlock2D", "Transformer2DModel", "Downsample2D", "Upsample2D")
BY_TOKENS = ("FeedForward",)


@dataclass(frozen=True)
class FeatureSlicing(Patch):
    """Runs layers on `slices` slices of the batch, and feed-forward layers on `token_slices` of the tokens."""

    parts: ClassVar[tuple[str, ...]] = ("unet", "transformer")

    slices: int
    token_slices: int

    @contextmanager
    def attach(self, part: str, module: nn.Module) -> Iterator[None]:
        with ExitStack() as replaced:
            for names, slices, slicer in (
                (BY_ROWS, self.slices, by_rows),
                (BY_TOKENS, self.token_slices, by_tokens),
            ):
                layers = [layer for layer in module.modules() if type(layer).__name__ in names]
                if slices > 1 and not layers:
                    raise NodeError(f"{type(module).__name__} has none of {', '.join(names)} to slice; leave it at 1.")
                for layer in layers if slices > 1 else ():
                    replaced.enter_context(forward_replaced(layer, slicer(layer.forward, slices)))
            yield


def by_rows(forward: Callable[..., Any], slices: int) -> Callable[..., Any]:
    """`forward` of as many slices of the rows of all its arguments, joined."""

    def sliced(hidden: Tensor, *given: Any, **told: Any) -> Any:
        rows = len(hidden)
        size = -(-rows // slices)
        found = []
        for start in range(0, rows, size):
            part = slice(start, start + size)
            arguments = (_rows(each, rows, part) for each in given)
            found.append(
                forward(hidden[part], *arguments, **{name: _rows(each, rows, part) for name, each in told.items()})
            )
        return torch.cat(found) if isinstance(found[0], torch.Tensor) else (torch.cat([each[0] for each in found]),)

    return sliced


def by_tokens(forward: Callable[..., Any], slices: int) -> Callable[..., Any]:
    """`forward` of as many slices of the tokens of its argument (B, N, C), joined."""

    def sliced(hidden: Tensor, *given: Any, **told: Any) -> Tensor:
        return torch.cat([forward(part, *given, **told) for part in hidden.chunk(slices, dim=1)], dim=1)

    return sliced


def _rows(value: Any, rows: int, part: slice) -> Any:
    """The rows of a tensor that has a row for each; anything else as it is."""
    return value[part] if isinstance(value, torch.Tensor) and value.dim() and len(value) == rows else value


@node
def feature_slicing(
    model: Model,
    slices: Annotated[
        int, Field(ge=1, le=1024, description="of the pictures and branches, in a UNet's layers; 1 is none")
    ] = 2,
    token_slices: Annotated[
        int, Field(ge=1, le=1024, description="of the tokens in the feed-forward parts of transformers; 1 is none")
    ] = 1,
) -> Model:
    """Need less memory: give layers a part of the batch at a time.

    With guidance a single picture is two rows, so that two slices already help; more pictures take more. Goes with
    every cache. The result differs by rounding alone. https://arxiv.org/abs/2411.01171
    """
    return replace(model, patches=(*model.patches, FeatureSlicing(slices, token_slices)))
