"""Gradients of attention. P is computed again from the scores and the log-sum-exp:

    P = exp(S - lse),  D = rowsum(dO O) - dlse,  dV = P^T dO,  dS = P (dO V^T - D),  dQ = dS K scale,  dK = dS^T Q scale

One kernel keeps a tile of keys and walks over the queries, one keeps a tile of queries and walks over the keys, so that
each gradient is written once, in one order: two runs give the same bits.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from ..launch import LOG2E, OPTIONS, alignment, config, grid, head_of, kind, pairs, tiles, tuned, widened
from ..tiles import added, at, inner, known, load_pair, place, shown, stop, store_pair, zeros_pair

KEY = ("HEAD", "BIAS", "BLOCK", "ALIGN_QUERIES", "ALIGN_KEYS")


@tuned(
    config(64, 128, warps=8, stages=2),
    config(64, 64, warps=8, stages=2),
    config(32, 128, warps=8, stages=2),
    config(32, 64, warps=8, stages=2),
    config(32, 32, warps=4, stages=1),
    key=KEY,
)
@triton.jit
def _of_keys(
    q,
    k,
    v,
    grad_out,
    shift,
    dot,
    grad_k,
    grad_v,
    bias,
    counts,
    order,
    q_strides,
    k_strides,
    v_strides,
    grad_out_strides,
    row_strides,
    grad_k_strides,
    grad_v_strides,
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
    QUERIES: tl.constexpr,
    KEYS: tl.constexpr,
):
    """Gradients of a tile of keys and values; scores are transposed, (KEYS, QUERIES), as both sums need them."""
    q_strides, k_strides = known(q_strides, EIGHTS), known(k_strides, EIGHTS)
    v_strides, grad_out_strides = known(v_strides, EIGHTS), known(grad_out_strides, EIGHTS)
    begin, batch, head = place(KEYS, n_keys, heads)
    keys = begin + tl.arange(0, KEYS)
    k1, k2 = load_pair(
        at(k, batch, head, k_strides), begin, n_keys, k_strides, KEYS, WIDE, REST, HEAD, ALIGN_KEYS, WIDEN
    )
    v1, v2 = load_pair(
        at(v, batch, head, v_strides), begin, n_keys, v_strides, KEYS, WIDE, REST, HEAD, ALIGN_KEYS, WIDEN
    )
    q = at(q, batch, head, q_strides)
    grad_out = at(grad_out, batch, head, grad_out_strides)
    shift = at(shift, batch, head, row_strides)
    dot = at(dot, batch, head, row_strides)
    bias = at(bias, batch, head, bias_strides)
    from_step = 0
    steps = tl.cdiv(n_queries, QUERIES)
    if CAUSAL:
        from_step = begin // QUERIES
    if BLOCK:
        row = begin // BLOCK
        steps = tl.load(at(counts, batch, head, counts_strides) + row * counts_strides[2]) * (BLOCK // QUERIES)
        order = at(order, batch, head, order_strides) + row * order_strides[2]
    dk1, dk2 = zeros_pair(KEYS, WIDE, REST)
    dv1, dv2 = zeros_pair(KEYS, WIDE, REST)
    for step in range(from_step, steps):
        first = stop(order, step, BLOCK, QUERIES)
        queries = first + tl.arange(0, QUERIES)
        q1, q2 = load_pair(q, first, n_queries, q_strides, QUERIES, WIDE, REST, HEAD, ALIGN_QUERIES, WIDEN)
        scores = inner(k1, k2, q1, q2, REST) * (scale * 1.4426950408889634)
        scores = shown(
            scores,
            queries[None, :],
            keys[:, None],
            n_queries,
            n_keys,
            bias,
            bias_strides,
            BIAS,
            CAUSAL,
            KEYS <= ALIGN_KEYS,
        )
        here = queries < n_queries
        weights = tl.exp2(scores - tl.load(shift + queries, mask=here, other=float("inf"))[None, :])
        o1, o2 = load_pair(
            grad_out, first, n_queries, grad_out_strides, QUERIES, WIDE, REST, HEAD, ALIGN_QUERIES, WIDEN
        )
        dv1, dv2 = added(dv1, dv2, weights.to(o1.dtype), o1, o2, REST)
        slopes = weights * (inner(v1, v2, o1, o2, REST) - tl.load(dot + queries, mask=here, other=0.0)[None, :])
        dk1, dk2 = added(dk1, dk2, slopes.to(q1.dtype), q1, q2, REST)
    grad_k = at(grad_k, batch, head, grad_k_strides)
    grad_v = at(grad_v, batch, head, grad_v_strides)
    store_pair(grad_k, dk1 * scale, dk2 * scale, begin, n_keys, grad_k_strides, KEYS, WIDE, REST, HEAD)
    store_pair(grad_v, dv1, dv2, begin, n_keys, grad_v_strides, KEYS, WIDE, REST, HEAD)


@tuned(
    config(128, 64, warps=8, stages=2),
    config(64, 128, warps=8, stages=2),
    config(64, 64, warps=4, stages=2),
    config(32, 32, warps=4, stages=1),
    key=KEY,
)
@triton.jit
def _of_queries(
    q,
    k,
    v,
    grad_out,
    shift,
    dot,
    grad_q,
    bias,
    counts,
    order,
    q_strides,
    k_strides,
    v_strides,
    grad_out_strides,
    row_strides,
    grad_q_strides,
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
    QUERIES: tl.constexpr,
    KEYS: tl.constexpr,
):
    """Gradient of a tile of queries."""
    q_strides, k_strides = known(q_strides, EIGHTS), known(k_strides, EIGHTS)
    v_strides, grad_out_strides = known(v_strides, EIGHTS), known(grad_out_strides, EIGHTS)
    begin, batch, head = place(QUERIES, n_queries, heads)
    queries = begin + tl.arange(0, QUERIES)
    here = queries < n_queries
    q1, q2 = load_pair(
        at(q, batch, head, q_strides), begin, n_queries, q_strides, QUERIES, WIDE, REST, HEAD, ALIGN_QUERIES, WIDEN
    )
    grad_out = at(grad_out, batch, head, grad_out_strides)
    o1, o2 = load_pair(grad_out, begin, n_queries, grad_out_strides, QUERIES, WIDE, REST, HEAD, ALIGN_QUERIES, WIDEN)
    shifts = tl.load(at(shift, batch, head, row_strides) + queries, mask=here, other=float("inf"))
    dots = tl.load(at(dot, batch, head, row_strides) + queries, mask=here, other=0.0)
    k = at(k, batch, head, k_strides)
    v = at(v, batch, head, v_strides)
    bias = at(bias, batch, head, bias_strides)
    steps = tl.cdiv(n_keys, KEYS)
    if CAUSAL:
        steps = tl.minimum(steps, tl.cdiv(begin + QUERIES, KEYS))
    if BLOCK:
        row = begin // BLOCK
        steps = tl.load(at(counts, batch, head, counts_strides) + row * counts_strides[2]) * (BLOCK // KEYS)
        order = at(order, batch, head, order_strides) + row * order_strides[2]
    dq1, dq2 = zeros_pair(QUERIES, WIDE, REST)
    for step in range(0, steps):
        first = stop(order, step, BLOCK, KEYS)
        keys = first + tl.arange(0, KEYS)
        k1, k2 = load_pair(k, first, n_keys, k_strides, KEYS, WIDE, REST, HEAD, ALIGN_KEYS, WIDEN)
        v1, v2 = load_pair(v, first, n_keys, v_strides, KEYS, WIDE, REST, HEAD, ALIGN_KEYS, WIDEN)
        scores = inner(q1, q2, k1, k2, REST) * (scale * 1.4426950408889634)
        scores = shown(
            scores,
            queries[:, None],
            keys[None, :],
            n_queries,
            n_keys,
            bias,
            bias_strides,
            BIAS,
            CAUSAL,
            KEYS <= ALIGN_KEYS,
        )
        weights = tl.exp2(scores - shifts[:, None])
        slopes = weights * (inner(o1, o2, v1, v2, REST) - dots[:, None])
        dq1, dq2 = added(dq1, dq2, slopes.to(k1.dtype), k1, k2, REST)
    grad_q = at(grad_q, batch, head, grad_q_strides)
    store_pair(grad_q, dq1 * scale, dq2 * scale, begin, n_queries, grad_q_strides, QUERIES, WIDE, REST, HEAD)


@torch.library.custom_op("latentloom::attention_backward", mutates_args=())
def backward(
    grad_out: Tensor,
    grad_lse: Tensor | None,
    out: Tensor,
    lse: Tensor,
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
) -> tuple[Tensor, Tensor, Tensor]:
    """Of the sum of out grad_out and lse grad_lse, after q, k and v."""
    grads = (torch.empty_like(q), torch.empty_like(k), torch.empty_like(v))
    batch, heads, n_queries, _ = q.shape
    n_keys = k.shape[2]
    dot = (grad_out.float() * out.float()).sum(-1).contiguous()
    if grad_lse is not None:
        dot -= grad_lse
    # Infinite where a row sees no key: its weights exp(S - lse) are then zero.
    shift = (lse * LOG2E).masked_fill(lse == -torch.inf, torch.inf)
    given = q if bias is None else bias
    constants = {
        **head_of(q, k, v, grad_out),
        "ALIGN_QUERIES": alignment(n_queries),
        "ALIGN_KEYS": alignment(n_keys),
        "WIDEN": widened(q),
        "BIAS": kind(bias),
        "CAUSAL": causal,
        "BLOCK": block,
        **tiles(),
        **OPTIONS,
    }
    inputs = (q, k, v, grad_out, shift, dot)

    def launch(kernel: Any, length: int, by: str, found: tuple[Tensor, ...], *lists: Tensor | None) -> None:
        listed = tuple(q if tensor is None else tensor for tensor in lists)
        tensors = (*inputs, *found, given, *listed)
        strides = [tensor.stride() for tensor in tensors if tensor is not dot]
        kernel[grid(batch * heads, length, by)](*tensors, *strides, heads, n_queries, n_keys, scale, **constants)

    with torch.cuda.device_of(q):
        launch(_of_keys, n_keys, "KEYS", grads[1:], counts_of_keys, order_of_keys)
        launch(_of_queries, n_queries, "QUERIES", grads[:1], counts, order)
    return grads


@backward.register_fake
def _(grad_out: Any, grad_lse: Any, out: Any, lse: Any, q: Tensor, k: Tensor, v: Tensor, *_: Any) -> tuple[Tensor, ...]:
    return torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)


@register_flop_formula(torch.ops.latentloom.attention_backward, get_raw=True)
def _operations(grad_out: Tensor, grad_lse: Any, out: Any, lse: Any, q: Tensor, k: Tensor, *rest: Any, **_: Any) -> int:
    """Five products where the way forward has two, scores being computed again."""
    return 10 * pairs(q, k, rest[2], rest[6]) * q.shape[3]
