"""Positive and negative cross-attention with normalized attention guidance (Chen et al., 2025,
https://arxiv.org/abs/2505.21179; the mathematics stands in `reference`).

A tile of queries is read once and attends to both prompts. What one head knows, Z+ and Z~, is written with its share of
the two norms; R belongs to a token, all heads together, so a second pass over Z+ and Z~ mixes them.
"""

# pyright: reportArgumentType=false, reportCallIssue=false
# Constants of kernels are plain numbers to those who call them.

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from ..launch import LOG2E, OPTIONS, alignment, checked, config, grid, head_of, kind, pairs, tiles, tuned, widened
from ..tiles import at, attend, known, load_pair, place, store_pair


@tuned(
    config(128, 64, warps=8, stages=2),
    config(64, 64, warps=4, stages=2),
    config(64, 32, warps=4, stages=2),
    key=("HEAD", "BIAS", "BIAS_NEGATIVE", "ALIGN", "ALIGN_NEGATIVE"),
)
@triton.jit
def _both(
    q,
    k,
    v,
    k_negative,
    v_negative,
    out,
    beyond,
    norms,
    bias,
    bias_negative,
    q_strides,
    k_strides,
    v_strides,
    k_negative_strides,
    v_negative_strides,
    out_strides,
    beyond_strides,
    norms_strides,
    bias_strides,
    bias_negative_strides,
    heads,
    n_queries,
    n_keys,
    n_negative,
    scale,
    phi,
    HEAD: tl.constexpr,
    WIDE: tl.constexpr,
    REST: tl.constexpr,
    EIGHTS: tl.constexpr,
    ALIGN_QUERIES: tl.constexpr,
    ALIGN: tl.constexpr,
    ALIGN_NEGATIVE: tl.constexpr,
    WIDEN: tl.constexpr,
    BIAS: tl.constexpr,
    BIAS_NEGATIVE: tl.constexpr,
    QUERIES: tl.constexpr,
    KEYS: tl.constexpr,
):
    out_strides, beyond_strides = known(out_strides, EIGHTS), known(beyond_strides, EIGHTS)
    q_strides = known(q_strides, EIGHTS)
    k_strides, v_strides = known(k_strides, EIGHTS), known(v_strides, EIGHTS)
    k_negative_strides, v_negative_strides = known(k_negative_strides, EIGHTS), known(v_negative_strides, EIGHTS)
    first, batch, head = place(QUERIES, n_queries, heads)
    queries = first + tl.arange(0, QUERIES)
    q1, q2 = load_pair(
        at(q, batch, head, q_strides), first, n_queries, q_strides, QUERIES, WIDE, REST, HEAD, ALIGN_QUERIES, WIDEN
    )
    plus1, plus2, _ = attend(
        q1,
        q2,
        queries,
        at(k, batch, head, k_strides),
        at(v, batch, head, v_strides),
        k_strides,
        v_strides,
        at(bias, batch, head, bias_strides),
        bias_strides,
        k,
        tl.cdiv(n_keys, KEYS),
        n_queries,
        n_keys,
        scale,
        QUERIES,
        KEYS,
        WIDE,
        REST,
        HEAD,
        ALIGN,
        WIDEN,
        BIAS,
        False,
        0,
    )
    minus1, minus2, _ = attend(
        q1,
        q2,
        queries,
        at(k_negative, batch, head, k_negative_strides),
        at(v_negative, batch, head, v_negative_strides),
        k_negative_strides,
        v_negative_strides,
        at(bias_negative, batch, head, bias_negative_strides),
        bias_negative_strides,
        k,
        tl.cdiv(n_negative, KEYS),
        n_queries,
        n_negative,
        scale,
        QUERIES,
        KEYS,
        WIDE,
        REST,
        HEAD,
        ALIGN_NEGATIVE,
        WIDEN,
        BIAS_NEGATIVE,
        False,
        0,
    )
    beyond1 = plus1 + phi * (plus1 - minus1)
    beyond2 = plus2 + phi * (plus2 - minus2)
    norm = tl.sum(tl.abs(plus1), 1)
    norm_beyond = tl.sum(tl.abs(beyond1), 1)
    if REST:
        norm += tl.sum(tl.abs(plus2), 1)
        norm_beyond += tl.sum(tl.abs(beyond2), 1)
    out = at(out, batch, head, out_strides)
    beyond = at(beyond, batch, head, beyond_strides)
    store_pair(out, plus1, plus2, first, n_queries, out_strides, QUERIES, WIDE, REST, HEAD)
    store_pair(beyond, beyond1, beyond2, first, n_queries, beyond_strides, QUERIES, WIDE, REST, HEAD)
    rows = at(norms, batch, head, norms_strides) + queries * 2
    tl.store(rows, norm, mask=queries < n_queries)
    tl.store(rows + 1, norm_beyond, mask=queries < n_queries)


@triton.jit
def _mixed(plus, beyond, share, alpha):
    plus = plus.to(tl.float32)
    return plus + alpha * (beyond.to(tl.float32) * share[:, None] - plus)


@triton.jit
def _mix(
    out,
    beyond,
    norms,
    out_strides,
    beyond_strides,
    norms_strides,
    heads,
    n_queries,
    tau,
    alpha,
    HEAD: tl.constexpr,
    WIDE: tl.constexpr,
    REST: tl.constexpr,
    EIGHTS: tl.constexpr,
    ROWS: tl.constexpr,
):
    """Z in place of Z+. Runs once: it is not tuned, which would run it again on its own result."""
    out_strides, beyond_strides = known(out_strides, EIGHTS), known(beyond_strides, EIGHTS)
    first, batch, head = place(ROWS, n_queries, heads)
    queries = first + tl.arange(0, ROWS)
    here = queries < n_queries
    norm = tl.zeros([ROWS], tl.float32)
    norm_beyond = tl.zeros([ROWS], tl.float32)
    for each in range(0, heads):
        rows = at(norms, batch, each, norms_strides) + queries * 2
        norm += tl.load(rows, mask=here, other=0.0)
        norm_beyond += tl.load(rows + 1, mask=here, other=0.0)
    most = tau * norm
    share = tl.where(norm_beyond > most, most / tl.where(norm_beyond > most, norm_beyond, 1.0), 1.0)
    out = at(out, batch, head, out_strides)
    beyond = at(beyond, batch, head, beyond_strides)
    plus1, plus2 = load_pair(out, first, n_queries, out_strides, ROWS, WIDE, REST, HEAD, 1, False)
    beyond1, beyond2 = load_pair(beyond, first, n_queries, beyond_strides, ROWS, WIDE, REST, HEAD, 1, False)
    mixed1 = _mixed(plus1, beyond1, share, alpha)
    mixed2 = _mixed(plus2, beyond2, share, alpha)
    store_pair(out, mixed1, mixed2, first, n_queries, out_strides, ROWS, WIDE, REST, HEAD)


@torch.library.custom_op("latentloom::nag_attention", mutates_args=())
def _nag(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    k_negative: Tensor,
    v_negative: Tensor,
    bias: Tensor | None,
    bias_negative: Tensor | None,
    guidance: float,
    tau: float,
    alpha: float,
    scale: float,
) -> Tensor:
    batch, heads, n_queries, _ = q.shape
    out, beyond = torch.empty_like(q), torch.empty_like(q)
    norms = q.new_empty((*q.shape[:3], 2), dtype=torch.float32)
    given = (q if bias is None else bias, q if bias_negative is None else bias_negative)
    tensors = (q, k, v, k_negative, v_negative, out, beyond, norms, *given)
    with torch.cuda.device_of(q):
        _both[grid(batch * heads, n_queries)](
            *tensors,
            *(tensor.stride() for tensor in tensors),
            heads,
            n_queries,
            k.shape[2],
            k_negative.shape[2],
            scale * LOG2E,
            guidance - 1,
            **head_of(q, k, v, k_negative, v_negative, out),
            ALIGN_QUERIES=alignment(n_queries),
            ALIGN=alignment(k.shape[2]),
            ALIGN_NEGATIVE=alignment(k_negative.shape[2]),
            WIDEN=widened(q),
            BIAS=kind(bias),
            BIAS_NEGATIVE=kind(bias_negative),
            **tiles(),
            **OPTIONS,
        )
        _mix[grid(batch * heads, n_queries, "ROWS")](
            out,
            beyond,
            norms,
            *(tensor.stride() for tensor in (out, beyond, norms)),
            heads,
            n_queries,
            tau,
            alpha,
            **head_of(out),
            ROWS=64,
            **OPTIONS,
        )
    return out


@_nag.register_fake
def _(q: Tensor, *_: object) -> Tensor:
    return torch.empty_like(q)


@register_flop_formula(torch.ops.latentloom.nag_attention, get_raw=True)
def _operations(q: Tensor, k: Tensor, v: Tensor, k_negative: Tensor, *_: object, **__: object) -> int:
    return 4 * (pairs(q, k, None, 0) + pairs(q, k_negative, None, 0)) * q.shape[3]


def nag_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    k_negative: Tensor,
    v_negative: Tensor,
    *,
    guidance: float = 5.0,
    tau: float = 2.5,
    alpha: float = 0.25,
    bias: Tensor | None = None,
    bias_negative: Tensor | None = None,
    scale: float | None = None,
) -> Tensor:
    """Guided attention of queries (B, H, L, D) to a positive and a negative prompt (B, H, M, D), each with its own M.

    `guidance` is phi + 1: 1 gives attention to the positive prompt. Shapes, types, biases, `scale` as in
    `flash_attention`. For inference: raises `ValueError` where a gradient is asked for, and for what does not fit.
    """
    tensors = (q, k, v, k_negative, v_negative, bias, bias_negative)
    if torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in tensors):
        raise ValueError("this kernel has no gradient: run it under torch.no_grad, or use the reference.")
    q, k, v = checked(q, k, v)
    q, k_negative, v_negative = checked(q, k_negative, v_negative)
    q, k, v = checked(q, k.expand(*q.shape[:2], -1, -1), v)
    if bias is not None:
        bias = bias.expand(*q.shape[:3], k.shape[2])
    if bias_negative is not None:
        bias_negative = bias_negative.expand(*q.shape[:3], k_negative.shape[2])
    by = q.shape[3] ** -0.5 if scale is None else scale
    return _nag(q, k, v, k_negative, v_negative, bias, bias_negative, guidance, tau, alpha, by)
