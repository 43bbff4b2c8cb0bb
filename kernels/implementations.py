"""Implementations of attention by name: whether one can do what is asked, and doing it.

`sdpa` is PyTorch's scaled_dot_product_attention with the backend PyTorch takes; `sdpa_flash`, `sdpa_cudnn`,
`sdpa_efficient` and `sdpa_math` insist on one (https://docs.pytorch.org/docs/stable/nn.attention.html). `triton` is the
kernels of this room, on a GPU; `reference` is the definition. Whoever calls may offer others, as functions of q, k and
v: those of diffusers' attention dispatcher, say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from .blocks import TILED, Blocks, elements
from .flash_attention import reference

Offered = Mapping[str, Callable[[Tensor, Tensor, Tensor], Tensor]]
"""Name and function of implementations from elsewhere: dense attention of (B, H, L, D) at the usual scale."""

BACKENDS = {
    "sdpa_flash": SDPBackend.FLASH_ATTENTION,
    "sdpa_cudnn": SDPBackend.CUDNN_ATTENTION,
    "sdpa_efficient": SDPBackend.EFFICIENT_ATTENTION,
    "sdpa_math": SDPBackend.MATH,
}
OURS = ("sdpa", *BACKENDS, "triton", "reference")


@dataclass(frozen=True)
class Ask:
    """What is to be computed, but for the values."""

    q: Tensor
    k: Tensor
    v: Tensor
    bias: Tensor | None = None
    blocks: Blocks | None = None
    scale: float | None = None
    causal: bool = False
    with_lse: bool = False

    @property
    def plain(self) -> bool:
        return self.bias is None and self.blocks is None and not self.causal and self.scale is None

    @property
    def differentiated(self) -> bool:
        return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (self.q, self.k, self.v))

    def mask(self) -> Tensor | None:
        """Bias, blocks and causality as one mask for PyTorch; None where it needs none."""
        queries, keys = self.q.shape[2], self.k.shape[2]
        seen = None if self.blocks is None else elements(self.blocks, queries, keys)
        if self.causal and (seen is not None or self.bias is not None):
            lower = torch.ones(queries, keys, dtype=torch.bool, device=self.q.device).tril()
            seen = lower if seen is None else seen & lower
        if seen is None or self.bias is None:
            return self.bias if seen is None else seen
        if self.bias.dtype == torch.bool:
            return self.bias & seen
        return torch.where(seen, self.bias, -torch.inf)


@cache
def _no_triton(device: torch.device) -> str | None:
    """Why our kernels do not run on a device."""
    if device.type != "cuda":
        return f"Triton kernels run on a GPU, and this is {device.type}"
    if find_spec("triton") is None:
        return "the package triton is not installed"
    if torch.version.hip is None and torch.cuda.get_device_capability(device) < (8, 0):
        return "the GPU is older than Ampere"
    return None


def obstacle(name: str, ask: Ask) -> str | None:
    """Why an implementation cannot do what is asked; None where it can."""
    if name == "reference":
        return None
    if name == "triton":
        if ask.q.shape[3] > 256:
            return f"its heads end at 256, and these are {ask.q.shape[3]}"
        if ask.q.dtype == torch.float64:
            return "it does not compute in float64"
        if ask.bias is not None and ask.bias.requires_grad:
            return "it has no gradient for the bias"
        if ask.blocks is not None and ask.blocks.size not in TILED:
            return f"its blocks are {' or '.join(map(str, TILED))} long, and these are {ask.blocks.size}"
        return _no_triton(ask.q.device)
    if ask.with_lse:
        return "it does not give the log-sum-exp"
    if name not in OURS and not ask.plain:
        return "it takes no mask, scale or blocks here"
    if name in ("sdpa_flash", "sdpa_cudnn") and ask.q.device.type != "cuda":
        return "it runs on a GPU"
    if name == "sdpa_flash" and not (ask.bias is None and ask.blocks is None):
        return "it takes no mask"
    return None


def run(name: str, ask: Ask, offered: Offered) -> tuple[Tensor, Tensor | None]:
    """The result and, where it was asked for, the log-sum-exp of each row."""
    q, k, v = ask.q, ask.k, ask.v
    if name == "triton":
        from .flash_attention.kernel import attention

        return attention(q, k, v, bias=ask.bias, blocks=ask.blocks, scale=ask.scale, causal=ask.causal)
    if name in offered:
        return offered[name](q, k, v), None
    bias = ask.mask()
    causal = ask.causal and bias is None
    if name == "reference":
        return reference.flash_attention(q, k, v, bias=bias, scale=ask.scale, causal=causal)
    attend_by = partial(scaled_dot_product_attention, attn_mask=bias, is_causal=causal, scale=ask.scale)
    if name == "sdpa":
        return attend_by(q, k, v), None
    with sdpa_kernel(BACKENDS[name]):
        return attend_by(q, k, v), None


def backend(ask: Ask) -> str:
    """The backend PyTorch takes for `sdpa`: flash, cudnn, efficient or math."""
    bias = ask.mask()
    causal = ask.causal and bias is None
    found = torch._fused_sdp_choice(ask.q, ask.k, ask.v, bias, 0.0, causal, scale=ask.scale)
    return SDPBackend(found).name.lower().removesuffix("_attention")
