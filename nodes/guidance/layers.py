"""The layers of a denoiser that a guidance makes worse for one evaluation.

Blocks are counted from 0 in the order in which they run: those of a UNet on its way down, in the middle and up again;
the double blocks of Flux, then the single ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from ...graph.node import NodeError
from ..models.attentions import attentions, blocks, blocks_of_unet, check_native
from ..models.forward import forward_replaced

if TYPE_CHECKING:
    from torch import nn

Layers = Annotated[
    list[Annotated[int, Field(ge=0, le=1000)]],
    Field(
        max_length=1000,
        description="transformer blocks, from 0 in the order they run; empty: a UNet's middle, of others a few early",
    ),
]


def usual(denoiser: Any) -> list[int]:
    """The blocks in the middle of a UNet, where https://arxiv.org/abs/2403.17377 changes it. Of a transformer those
    that stand where 7, 8 and 9 are of Stable Diffusion 3.5 Medium's 24, in Flux of its double blocks."""
    if hasattr(denoiser, "transformer_blocks"):
        depth = len(denoiser.transformer_blocks)
        first = round(depth * 7 / 24)
        return list(range(first, min(depth, first + max(1, depth // 8))))
    before = sum(len(blocks_of_unet(part)) for part in denoiser.down_blocks)
    return list(range(before, before + len(blocks_of_unet(denoiser.mid_block))))


def chosen(denoiser: Any, indices: Sequence[int], method: str) -> list[nn.Module]:
    """The blocks of `indices`, without any the usual ones. Raises `NodeError` for those there are not, and where
    something else than diffusers' own attention stands in them."""
    found = blocks(denoiser)
    wrong = [str(index) for index in indices if index >= len(found)]
    if wrong:
        raise NodeError(
            f"{method}: layers {', '.join(wrong)} are not there; this {type(denoiser).__name__} has {len(found)} "
            f"transformer blocks, 0 to {len(found) - 1}."
        )
    picked = [found[index] for index in dict.fromkeys(indices or usual(denoiser))]
    if not picked:
        raise NodeError(
            f"{method}: the middle of this UNet has no transformer blocks; name layers, of 0 to {len(found) - 1}."
        )
    check_native([attention for block in picked for attention in attentions(block)], method)
    return picked


def check_not_kept(picked: Sequence[nn.Module], method: str) -> None:
    """Raises `NodeError` for blocks that a cache needs to run: those by which it tells, and where it keeps."""
    for block in picked:
        hooks = getattr(getattr(block, "_diffusers_hook", None), "hooks", {})
        if any("leader" in name or getattr(hook, "is_tail", False) for name, hook in hooks.items()):
            raise NodeError(
                f"{method} leaves out the first or the last block, by which the model's cache (First-Block Cache, "
                "MagCache) tells what it may skip; choose layers between them."
            )


@contextmanager
def left_out(picked: Sequence[nn.Module]) -> Iterator[None]:
    """`picked` blocks give what they are given while the context lasts."""
    from diffusers.models.attention import BasicTransformerBlock

    def alone(hidden_states: Any, *given: Any, **told: Any) -> Any:
        return hidden_states

    def joint(hidden_states: Any, encoder_hidden_states: Any, *given: Any, **told: Any) -> Any:
        return encoder_hidden_states, hidden_states

    with ExitStack() as replaced:
        for block in picked:
            forward = alone if isinstance(block, BasicTransformerBlock) else joint
            replaced.enter_context(forward_replaced(block, forward))
        yield
