"""Smoothed Energy Guidance (Hong, 2024, https://arxiv.org/abs/2408.00760), combined by diffusers' own guider.

In some layers the queries of self-attention are blurred over the picture before they meet the keys, by a Gaussian of
`sigma` tokens, without limit to their mean; attention's energy landscape becomes smoother by it:

e_p:  softmax(G_sigma[Q] K^T / sqrt(d)) V,      e = e_u + w (e_c - e_u) + s (e_c - e_p)

The kernel is 6 sigma wide, rounded up to an odd number, and no wider than the picture has room for. Rows and columns
are the latent's own, also of pictures that are not square, and the prompt's tokens stay as they are. One evaluation
more in each step from `start` to `stop`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from ...graph.node import NodeError, node
from ..models.attentions import self_attentions
from ..types import Guidance
from .layers import Layers, chosen
from .perturbed import Perturbed

if TYPE_CHECKING:
    from diffusers.guiders import SmoothedEnergyGuidance
    from torch import Tensor, nn

UNLIMITED = 9999.0
"""Blur from which on all queries are one, as in diffusers."""


@dataclass(frozen=True)
class SmoothedEnergy(Perturbed):
    """s, the layers whose queries are blurred, and by how much."""

    blur: float

    def guider(self) -> SmoothedEnergyGuidance:
        from diffusers.guiders import SmoothedEnergyGuidance

        # The queries are blurred here: diffusers' guider never puts its hook on, and that takes blur for no limit.
        guider = SmoothedEnergyGuidance(self.scale, self.told_weight, seg_guidance_layers=[0])
        guider.seg_guidance_start, guider.seg_guidance_stop = self.start, self.stop
        return guider

    def perturbation(self, denoiser: nn.Module) -> Callable[[Tensor], AbstractContextManager[object]]:
        layers = chosen(denoiser, self.layers, "Smoothed Energy Guidance")
        return lambda sample: smoothed(layers, self.blur, (sample.shape[-2], sample.shape[-1]))


@contextmanager
def smoothed(layers: Sequence[nn.Module], blur: float, size: tuple[int, int]) -> Iterator[None]:
    """The queries of the self-attentions in `layers` are blurred while the context lasts; `size` is the latent's."""

    def blurred(attention: Any, query: Tensor) -> Tensor:
        import torch

        # Flux's single blocks have the prompt before the picture.
        rows, columns = grid(query.shape[1], size, bool(getattr(attention, "pre_only", False)))
        said = query.shape[1] - rows * columns
        picture = query[:, said:].unflatten(1, (rows, columns)).movedim(3, 1)
        seen = smooth(picture, blur).movedim(1, 3).flatten(1, 2)
        return torch.cat([query[:, :said], seen], dim=1) if said else seen

    with ExitStack() as hooks:
        for attention in (each for layer in layers for each in self_attentions(layer)):
            hook = attention.to_q.register_forward_hook(lambda _, given, query, owner=attention: blurred(owner, query))
            hooks.callback(hook.remove)
        yield


def smooth(queries: Tensor, sigma: float) -> Tensor:
    """Queries (B, C, h, w) blurred over the picture."""
    from torch.nn.functional import conv2d, pad

    if sigma > UNLIMITED:
        return queries.mean((-2, -1), keepdim=True).expand_as(queries)
    channels, (height, width) = queries.shape[1], queries.shape[-2:]
    down, across = kernel(sigma, height).to(queries), kernel(sigma, width).to(queries)
    weights = (down[:, None] @ across[None, :]).expand(channels, 1, -1, -1)
    around = [len(across) // 2, len(across) // 2, len(down) // 2, len(down) // 2]
    return conv2d(pad(queries, around, mode="reflect"), weights, groups=channels)


def kernel(sigma: float, room: int) -> Tensor:
    """Weights (k,) of a Gaussian, k odd, along a side of `room` tokens."""
    import torch

    wide = math.ceil(6 * sigma)
    size = min(wide + 1 - wide % 2, room - (room % 2 - 1))
    weights = torch.exp(-0.5 * (torch.linspace(-(size - 1) / 2, (size - 1) / 2, size) / sigma) ** 2)
    return weights / weights.sum()


def grid(tokens: int, size: tuple[int, int], prompted: bool = False) -> tuple[int, int]:
    """Rows and columns of the picture in a layer of `tokens`, of a latent of `size`. Where the prompt is among them,
    the picture's are patches of 2 x 2."""
    for factor in (2,) if prompted else (1, 2, 4, 8, 16, 32):
        rows, columns = -(-size[0] // factor), -(-size[1] // factor)
        if rows * columns == tokens or prompted:
            return rows, columns
    raise NodeError(
        f"Smoothed Energy Guidance finds {tokens} tokens in a layer for a latent of {size[1]}x{size[0]}, whose rows it "
        "cannot tell; where tokens are merged, choose layers that keep all (lower max_downsample of token_merging)."
    )


@node(title="Smoothed Energy Guidance")
def seg(
    scale: Annotated[float, Field(ge=1, le=100, description="of classifier-free guidance; 1: without it")] = 5.0,
    weight: Annotated[float, Field(ge=0, le=100, description="how far to move away from the worse; 0: not")] = 3.0,
    blur: Annotated[
        float, Field(gt=0, le=1e9, description="sigma of the blur, in tokens; above 9999 all queries are one")
    ] = 1e4,
    layers: Layers = [],  # noqa: B006
    start: Annotated[float, Field(ge=0, le=1, description="share of the run after which it starts")] = 0.0,
    stop: Annotated[float, Field(ge=0, le=1, description="share of the run after which it stops")] = 1.0,
) -> Guidance:
    """Guide away from what the network says when its attention is smoothed, with fewer side effects than PAG.

    It works without a prompt too, and costs one evaluation a step. https://arxiv.org/abs/2408.00760
    """
    return SmoothedEnergy(scale, weight, tuple(layers), start, stop, blur)
