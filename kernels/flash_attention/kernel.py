"""Exact attention that never holds the matrix of scores (FlashAttention-2, Dao, 2023, https://arxiv.org/abs/2307.08691).

Each program keeps a tile of queries and walks over the tiles of keys. With m the largest score of a row so far,

    P_j = exp(S_j - m_j),  l_j = exp(m_{j-1} - m_j) l_{j-1} + sum P_j,  O_j = exp(m_{j-1} - m_j) O_{j-1} + P_j V_j

and in the end O = O_n / l_n, lse = m_n + log l_n. Sums are float32, whatever comes in. The tiles are walked one after
the other, or block by block as lists name them, which is block-sparse attention.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from ..blocks import TILED, Blocks
from ..launch import (
    LOG2E,
    OPTIONS,
    alignment,
    checked,
    config,
    grid,
    head_of,
    kind,
    pairs,
    scratch,
    tiles,
    tma_fits,
    tuned,
    widened,
)
from ..tiles import at, attend, known, load_pair, place, store_pair
from .backward import backward
from .reference import Attention


@tuned(
    config(128, 128, warps=8, stages=3),
    config(128, 64, warps=8, stages=3),
    config(128, 64, warps=4, stages=3),
    config(64, 64, warps=4, stages=3),
    config(64, 32, warps=4, stages=2),
    # No warp_specialize: for Hopper, Triton 3.7.1 and 3.9 ignore it in this loop with 8 warps, and fail with 4.
    config(128, 128, warps=8, stages=3, TMA=True),
    config(128, 64, warps=8, stages=3, TMA=True),
    config(64, 64, warps=4, stages=3, TMA=True),
    key=("HEAD", "BIAS", "BLOCK", "ALIGN_KEYS", "LONG", "TMA_FITS"),
)
@triton.jit
def _forward(
    q,
    k,
    v,
    out,
    lse,
    bias,
    counts,
    order,
    q_strides,
    k_strides,
    v_strides,
    out_strides,
    lse_strides,
    bias_strides,
    counts_strides,
    order_strides,
    heads,
    n_queries,
    n_keys,
    scale,
    HEAD: tl.constexpr,
    WIDE: tl.constexpr,
    REST: tl.constexpr,
    EIGHTS: tl.constexpr,
    ALIGN_QUERIES: tl.constexpr,
    ALIGN_KEYS: tl.constexpr,
    WIDEN: tl.constexpr,
    BIAS: tl.constexpr,
    CAUSAL: tl.constexpr,
    BLOCK: tl.constexpr,
    LONG: tl.constexpr,
    TMA_FITS: tl.constexpr,
    QUERIES: tl.constexpr,
    KEYS: tl.constexpr,
    TMA: tl.constexpr = False,  # pyright: ignore[reportArgumentType]
):
    q_strides, k_strides = known(q_strides, EIGHTS), known(k_strides, EIGHTS)
    v_strides, out_strides = known(v_strides, EIGHTS), known(out_strides, EIGHTS)
    first, batch, head = place(QUERIES, n_queries, heads)
    queries = first + tl.arange(0, QUERIES)
    q1, q2 = load_pair(
        at(q, batch, head, q_strides), first, n_queries, q_strides, QUERIES, WIDE, REST, HEAD, ALIGN_QUERIES, WIDEN
    )
    steps = tl.cdiv(n_keys, KEYS)
    if CAUSAL:
        steps = tl.minimum(steps, tl.cdiv(first + QUERIES, KEYS))
    listed = order
    if BLOCK:
        row = first // BLOCK
        steps = tl.load(at(counts, batch, head, counts_strides) + row * counts_strides[2]) * (BLOCK // KEYS)
        listed = at(order, batch, head, order_strides) + row * order_strides[2]
    out1, out2, log = attend(
        q1,
        q2,
        queries,
        at(k, batch, head, k_strides),
        at(v, batch, head, v_strides),
        k_strides,
        v_strides,
        at(bias, batch, head, bias_strides),
        bias_strides,
        listed,
        steps,
        n_queries,
        n_keys,
        scale,
        QUERIES,
        KEYS,
        WIDE,
        REST,
        HEAD,
        ALIGN_KEYS,
        WIDEN,
        BIAS,
        CAUSAL,
        BLOCK,
        TMA,
    )
    store_pair(at(out, batch, head, out_strides), out1, out2, first, n_queries, out_strides, QUERIES, WIDE, REST, HEAD)
    rows = at(lse, batch, head, lse_strides) + queries * lse_strides[2]
    tl.store(rows, log * 0.6931471805599453, mask=queries < n_queries)


# ---------------------------------------------------------------- as an operator of PyTorch


@torch.library.custom_op("latentloom::attention", mutates_args=())
def _attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    counts: Tensor | None,
    order: Tensor | None,
    counts_of_keys: Tensor | None,
    order_of_keys: Tensor | None,
    block: int,
    scale: float,
    causal: bool,
) -> tuple[Tensor, Tensor]:
    out, lse = torch.empty_like(q), q.new_empty(q.shape[:3], dtype=torch.float32)
    batch, heads, n_queries, _ = q.shape
    given, counted, ordered = (q if tensor is None else tensor for tensor in (bias, counts, order))
    fits = tma_fits(k, v)
    with torch.cuda.device_of(q):
        if fits:
            triton.set_allocator(scratch)
        _forward[grid(batch * heads, n_queries)](
            q,
            k,
            v,
            out,
            lse,
            given,
            counted,
            ordered,
            *(tensor.stride() for tensor in (q, k, v, out, lse, given, counted, ordered)),
            heads,
            n_queries,
            k.shape[2],
            scale * LOG2E,
            **head_of(q, k, v, out),
            ALIGN_QUERIES=alignment(n_queries),
            ALIGN_KEYS=alignment(k.shape[2]),
            WIDEN=widened(q),
            BIAS=kind(bias),
            CAUSAL=causal,
            BLOCK=block,
            LONG=k.shape[2] > 1024,
            TMA_FITS=fits,
            **tiles(),
            **OPTIONS,
        )
    return out, lse


@_attention.register_fake
def _(q: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    return torch.empty_like(q), q.new_empty(q.shape[:3], dtype=torch.float32)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *tensors, ctx.block, ctx.scale, ctx.causal = inputs
    ctx.save_for_backward(*tensors, *output)
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, grad_out: Tensor | None, grad_lse: Tensor | None) -> tuple[Tensor | None, ...]:
    *inputs, out, lse = ctx.saved_tensors
    if grad_out is None:
        grad_out = torch.zeros_like(out)
    found = backward(grad_out, grad_lse, out, lse, *inputs, ctx.block, ctx.scale, ctx.causal)
    return *found, *(None,) * 8


_attention.register_autograd(_differentiate, setup_context=_keep)


@register_flop_formula(torch.ops.latentloom.attention, get_raw=True)
def _operations(q: Tensor, k: Tensor, v: Tensor, bias: Any, counts: Tensor | None, *rest: Any, **_: Any) -> int:
    return 4 * pairs(q, k, counts, rest[3]) * q.shape[3]


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    bias: Tensor | None = None,
    blocks: Blocks | None = None,
    scale: float | None = None,
    causal: bool = False,
) -> Attention:
    """Over all keys, or those in `blocks`, which the caller has checked."""
    q, k, v = checked(q, k, v)
    shape = (*q.shape[:3], k.shape[2])
    if bias is not None:
        if bias.requires_grad:
            raise ValueError("this kernel has no gradient for the bias: give one without, or use PyTorch's attention.")
        bias = bias.expand(shape)
    lists: list[Tensor | None] = [None] * 4
    if blocks is not None:
        if blocks.size not in TILED:
            raise ValueError(f"this kernel skips blocks of {' or '.join(map(str, TILED))}, not of {blocks.size}.")
        found = (*blocks.of_queries, *blocks.of_keys)
        lists = [tensor.expand(*shape[:2], *tensor.shape[2:]) for tensor in found]
    size = 0 if blocks is None else blocks.size
    by = q.shape[3] ** -0.5 if scale is None else scale
    return Attention(*_attention(q, k, v, bias, *lists, size, by, causal))


def flash_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    bias: Tensor | None = None,
    scale: float | None = None,
    causal: bool = False,
) -> Attention:
    """softmax(q k^T scale + bias) v, for queries (B, H, L, D) and keys and values (B, H, M, D) with any strides.

    float32, float16 or bfloat16; D up to 256; B or H of 1 is repeated. `bias` broadcasts to (B, H, L, M): numbers are
    added, and of a boolean mask True is what is seen. `scale` is D^-1/2. `causal`: query i sees keys 0 to i. A row that
    sees nothing is zero, and its log-sum-exp, (B, H, L) in float32, is -inf. Both results are differentiable in q, k
    and v. Raises `ValueError` for what does not fit.
    """
    return attention(q, k, v, bias=bias, scale=scale, causal=causal)
