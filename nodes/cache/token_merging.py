"""Token merging (Bolya and Hoffman, 2023, https://arxiv.org/abs/2303.17604), by the authors' package `tomesd`.

Neighbouring pixels of a latent say much the same. Before self-attention, one token of each cell of `sx` x `sy` is kept
as a goal, and those of the others that are most like one of the goals, the share `ratio` of all N, are averaged into
it; after it, each takes back what its goal got:

    x = x + unmerge(attention(merge(norm(x))))

Attention over (1 - r) N tokens costs (1 - r)^2 of that over N. Matching costs time too, so the gain is large where
attention is slow (pictures of many tokens), and small where a fused kernel makes it quick.

With `use_rand` the goal of a cell is drawn, from a generator that begins anew with every run. The package draws only
where the rows of a call are even in number, and takes each cell's first token otherwise: one picture without guidance
has no randomness.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from ...graph.node import NodeError, node
from ..models.call import current
from ..types import Model, Patch

if TYPE_CHECKING:
    from torch import nn

Downsample = Literal[1, 2, 4, 8]


@dataclass(frozen=True)
class TokenMerging(Patch):
    """Merges tokens in the transformer blocks of a UNet."""

    ratio: float
    max_downsample: int
    sx: int
    sy: int
    use_rand: bool
    merge_attn: bool
    merge_crossattn: bool
    merge_mlp: bool

    @contextmanager
    def attach(self, part: str, module: nn.Module) -> Iterator[None]:
        import tomesd
        import torch

        run: Any = None
        deepest = min(self.max_downsample, 2 ** (len(module.down_blocks) - 1))  # pyright: ignore[reportArgumentType]

        def begin(unet: Any, given: tuple[Any, ...]) -> None:
            nonlocal run
            height, width = given[0].shape[-2:]
            if -(-height // deepest) < self.sy or -(-width // deepest) < self.sx:
                raise NodeError(
                    f"A latent of {width}x{height} has no cell of {self.sx}x{self.sy} tokens where it is {deepest} "
                    "times smaller; lower max_downsample, sx or sy."
                )
            call = current()
            if call is None or call.steps is not run:
                run = call and call.steps
                device = given[0].device
                seeded = torch.Generator(device if device.type == "cuda" else "cpu").manual_seed(0)
                unet._tome_info["args"]["generator"] = seeded

        options = (self.ratio, self.max_downsample, self.sx, self.sy, self.use_rand)
        tomesd.apply_patch(module, *options, self.merge_attn, self.merge_crossattn, self.merge_mlp)
        hook = module.register_forward_pre_hook(begin)
        try:
            yield
        finally:
            hook.remove()
            tomesd.remove_patch(module)
            for each in module.modules():
                each.__dict__.pop("_tome_info", None)


@node
def token_merging(
    model: Model,
    ratio: Annotated[float, Field(ge=0, le=0.99, description="share of the tokens that is merged; 0 is none")] = 0.5,
    max_downsample: Annotated[
        Downsample, Field(description="merge where the latent is at most so many times smaller; 1: in full size alone")
    ] = 1,
    sx: Annotated[int, Field(ge=1, le=16, description="width of the cells, of which each keeps one token")] = 2,
    sy: Annotated[int, Field(ge=1, le=16, description="height of the cells")] = 2,
    merge_attn: Annotated[bool, Field(description="merge for self-attention")] = True,
    merge_crossattn: Annotated[bool, Field(description="merge for cross-attention; costs quality")] = False,
    merge_mlp: Annotated[bool, Field(description="merge for the feed-forward layers; costs much quality")] = False,
    use_rand: Annotated[
        bool, Field(description="draw the token each cell keeps, in place of taking its first; the same in every run")
    ] = True,
) -> Model:
    """Let attention see fewer tokens: those most alike are averaged before it and set apart again behind it.

    For models with a UNet; goes with DeepCache and Faster Diffusion. https://arxiv.org/abs/2303.17604
    """
    from ..models.layouts import LAYOUTS

    if LAYOUTS[model.family].denoiser.name != "unet":
        families = ", ".join(name for name, layout in LAYOUTS.items() if layout.denoiser.name == "unet")
        raise NodeError(f"Token merging is for models with a UNet ({families}), and {model.family} has a transformer.")
    if any(isinstance(other, TokenMerging) for other in model.patches):
        raise NodeError("The model's tokens are merged already; give it token_merging once.")
    most = 1 - 1 / (sx * sy)
    if ratio > most:
        raise NodeError(
            f"Of a cell of {sx}x{sy} tokens one is kept, so at most {most:.3g} of them can be merged, not {ratio:.3g}; "
            "lower ratio, or raise sx or sy."
        )
    patch = TokenMerging(ratio, max_downsample, sx, sy, use_rand, merge_attn, merge_crossattn, merge_mlp)
    return replace(model, patches=(*model.patches, patch))
