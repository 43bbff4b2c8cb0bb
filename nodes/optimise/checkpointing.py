"""Gradient checkpointing (Chen et al., 2016, https://arxiv.org/abs/1604.06174) of the live parts of a model.

What the blocks of a network compute is not kept for the gradient, but computed again when it is needed: less memory for
one more evaluation. diffusers' models say which blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ...graph.node import NodeError
from ..models.call import current, under_way
from ..models.live import Parts
from ..models.loading import attention_kernel

_CLOSE = 1e-3
"""How far apart, relatively, two computations of a block may be on average: kernels may add up in another order."""


@contextmanager
def checkpointed(parts: Parts) -> Iterator[None]:
    """The denoiser and the autoencoder compute their blocks again for gradients, while the context lasts.

    Raises `NodeError` from the gradient when a patch of the model has a block compute something else then.
    """
    with ExitStack() as stack:
        for module in (parts.denoiser, parts.vae):
            if module._supports_gradient_checkpointing:
                module.enable_gradient_checkpointing(_again)
                stack.callback(module.disable_gradient_checkpointing)
        stack.enter_context(attention_kernel(parts.placement.attention))
        yield


def _again(block: Any, *given: Any, **named: Any) -> Any:
    """What `block` gives for `given`, to be computed again, in the same call of the denoiser."""
    call, first = current(), []

    def compute(*given: Any, **named: Any) -> Any:
        with nullcontext() if call is None else under_way(call):
            found = block(*given, **named)
        size = _size(found)
        if first and not torch.isclose(first[0], size, rtol=_CLOSE):
            raise NodeError(
                "A patch of the model computes something else when it is asked again, so that gradients would be "
                "wrong; switch checkpointing off, or take the patch (a cache, a LoRA with a curve fused into the "
                "weights) off the model."
            )
        first.append(size)
        return found

    return checkpoint(compute, *given, use_reentrant=False, early_stop=False, **named)


def _size(found: Any) -> Tensor:
    tensors = [found] if isinstance(found, Tensor) else [each for each in found if isinstance(each, Tensor)]
    return torch.stack([tensor.detach().float().abs().mean() for tensor in tensors]).sum()
