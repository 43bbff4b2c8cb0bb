"""The attentions of a denoiser, for what changes them while it lasts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ...graph.node import NodeError
from .call import current

if TYPE_CHECKING:
    from torch import nn

    from ...kernels.attention import Choice

NATIVE = ("AttnProcessor2_0", "JointAttnProcessor2_0", "FluxAttnProcessor")
"""The attentions of diffusers that call PyTorch's own."""


def blocks(denoiser: Any) -> list[nn.Module]:
    """The transformer blocks of a UNet or a transformer, in the order they run."""
    if hasattr(denoiser, "transformer_blocks"):
        return [*denoiser.transformer_blocks, *getattr(denoiser, "single_transformer_blocks", ())]
    parts = [*denoiser.down_blocks, denoiser.mid_block, *denoiser.up_blocks]
    return [block for part in parts for block in blocks_of_unet(part)]


def blocks_of_unet(part: Any) -> list[nn.Module]:
    """Those in one of a UNet's parts."""
    return [block for attention in getattr(part, "attentions", ()) for block in attention.transformer_blocks]


def attentions(block: nn.Module) -> list[Any]:
    """The attentions in `block`."""
    return [module for module in block.modules() if hasattr(module, "processor") and hasattr(module, "to_v")]


def self_attentions(block: nn.Module) -> list[Any]:
    """Those of them in which a picture sees itself."""
    return [attention for attention in attentions(block) if not getattr(attention, "is_cross_attention", False)]


def check_native(found: Sequence[Any], method: str) -> None:
    """Raises `NodeError` unless PyTorch's own attention computes all of the attentions `found`."""
    processors = [attention.processor for attention in found]
    others = {type(processor).__name__ for processor in processors} - set(NATIVE)
    others |= {
        str(getattr(backend, "value", backend))
        for backend in (getattr(processor, "_attention_backend", None) for processor in processors)
        if backend is not None
    }
    if others:
        raise NodeError(
            f"{method} changes attention itself, and {', '.join(sorted(others))} computes it here; take what set it "
            "off the model (region-adaptive sampling does, and the nodes of attention), or leave the attention that is "
            "asked for at auto."
        )


@contextmanager
def processor_replaced(attention: Any, processor: Any) -> Iterator[None]:
    """`attention` is computed by `processor` while the context lasts."""
    before = attention.processor
    attention.processor = processor
    try:
        yield
    finally:
        attention.processor = before


def tell(choice: Choice) -> None:
    """What computed an attention, and why, in the run's report."""
    call = current()
    if call is None:
        return
    call.counts[f"attention by {choice.name}"] += 1
    note(f"{choice.name}: {choice.why}")


def note(sentence: str) -> None:
    """One of the sentences on attention in the run's report; each stands there once."""
    call = current()
    if call is not None:
        told = call.notes.setdefault("attention_ran", [])
        if sentence not in told:
            told.append(sentence)
