"""Attention by whichever implementation suits, and the reason, in a sentence, for the report of a run.

Dense attention is PyTorch's unless something else is wanted, by name or as `fastest`, which times all that can run the
first time a shape is seen. What PyTorch only does by computing everything, blocks to be skipped and log-sum-exp, the
kernels of this room do where they run.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from .blocks import Blocks, check
from .implementations import OURS, Ask, Offered, backend, obstacle, run
from .nag_attention.reference import guided
from .sparse_linear_attention.division import Division, Over
from .sparse_linear_attention.linear import linear_attention
from .sparse_linear_attention.reference import Parts

WANTED = ("auto", "fastest", *OURS)


class Choice(NamedTuple):
    name: str
    why: str


class Attended(NamedTuple):
    out: Tensor
    choice: Choice
    lse: Tensor | None = None


def choose(ask: Ask, wanted: str = "auto", offered: Offered | None = None) -> Choice:
    """Raises `ValueError` for a name that is not known, or that cannot do what is asked."""
    names = (*OURS, *(offered or ()))
    if wanted == "auto":
        return _usual(ask)
    if wanted == "fastest":
        return _fastest(ask, offered or {})
    if wanted not in names:
        raise ValueError(f"there is no attention '{wanted}'; there are auto, fastest, {', '.join(names)}.")
    if why := obstacle(wanted, ask):
        able = ", ".join(name for name in names if obstacle(name, ask) is None)
        raise ValueError(f"attention '{wanted}' cannot do this: {why}. These can: {able}.")
    taken = f" ({backend(ask)})" if wanted == "sdpa" else ""
    return Choice(wanted, f"{wanted}{taken} was asked for")


def _usual(ask: Ask) -> Choice:
    special = "blocks to be skipped" if ask.blocks is not None else "the log-sum-exp" if ask.with_lse else None
    if special is None:
        return Choice("sdpa", f"PyTorch's attention ({backend(ask)}) does dense attention")
    why = obstacle("triton", ask)
    if why is None:
        return Choice("triton", f"our kernel, for {special}")
    if ask.with_lse:
        return Choice("reference", f"the definition, for {special}: {why}")
    return Choice("sdpa", f"PyTorch's attention under a mask, which skips nothing: {why}")


_timed: dict[tuple[object, ...], Choice] = {}


def _fastest(ask: Ask, offered: Offered) -> Choice:
    if ask.q.device.type != "cuda" or ask.differentiated:
        choice = _usual(ask)
        return Choice(choice.name, f"{choice.why}; implementations are timed on a GPU, without gradients")
    mask = None if ask.bias is None else (ask.bias.shape, ask.bias.dtype)
    special = (ask.blocks is None, ask.scale is None, ask.causal, ask.with_lse, *offered)
    key = (ask.q.device, ask.q.dtype, ask.q.shape, ask.k.shape, mask, *special)
    if key not in _timed:
        _timed[key] = _time(ask, offered)
    return _timed[key]


def _time(ask: Ask, offered: Offered) -> Choice:
    from .measure import seconds

    calls = {}
    for name in ("sdpa", "sdpa_cudnn", "triton", *offered):
        if obstacle(name, ask) is None:
            call = partial(run, name, ask, offered)
            try:
                call()
            except RuntimeError:  # a backend that is not built for this shape or this GPU
                continue
            calls[name] = call
    times = seconds(calls or {"reference": partial(run, "reference", ask, offered)}, rounds=5)
    best = min(times, key=lambda name: times[name])
    listed = ", ".join(f"{name} {time * 1e3:.3g} ms" for name, time in sorted(times.items(), key=lambda item: item[1]))
    return Choice(best, f"the fastest here for this shape: {listed}")


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    bias: Tensor | None = None,
    blocks: Blocks | None = None,
    scale: float | None = None,
    causal: bool = False,
    with_lse: bool = False,
    wanted: str = "auto",
    offered: Offered | None = None,
) -> Attended:
    """Attention of (B, H, L, D) to (B, H, M, D), as `flash_attention` describes it, and what ran.

    `blocks` (`blocks.prepare`) are attended to, and no others. `wanted` is one of `WANTED` or a name in `offered`.
    `lse` is None unless `with_lse`. Raises `ValueError` where what is wanted cannot do it.
    """
    shape = torch.broadcast_shapes(q.shape[:2], k.shape[:2], v.shape[:2])
    q, k, v = (tensor.expand(*shape, -1, -1) for tensor in (q, k, v))
    if blocks is not None:
        check(blocks, q, k)
    ask = Ask(q, k, v, bias, blocks, scale, causal, with_lse)
    choice = choose(ask, wanted, offered)
    out, lse = run(choice.name, ask, offered or {})
    return Attended(out, choice, lse if with_lse else None)


def attend_sparse_linear(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    division: Division,
    *,
    over: Over = "marginal",
    scale: float | None = None,
    wanted: str = "auto",
) -> tuple[Parts, Choice]:
    """Both parts of sparse-linear attention (`sparse_linear_attention.reference`), and what ran for the sparse one."""
    sparse = attend(q, k, v, blocks=division.critical, scale=scale, wanted=wanted)
    return Parts(sparse.out, linear_attention(q, k, v, division, over)), sparse.choice


def attend_guided(
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
    wanted: str = "auto",
) -> Attended:
    """Normalized attention guidance (`nag_attention.reference`), and what ran. `wanted` is one of `WANTED`.

    `auto` takes our kernel, which does both attentions and the guidance, where it runs.
    """
    ask, ask_negative = Ask(q, k, v, bias, None, scale), Ask(q, k_negative, v_negative, bias_negative, None, scale)
    why = obstacle("triton", ask) or obstacle("triton", ask_negative)
    if why is None and (ask.differentiated or ask_negative.differentiated):
        why = "it has no gradient"
    if wanted == "triton" and why:
        raise ValueError(f"attention 'triton' cannot do this: {why}.")
    if wanted == "triton" or (wanted == "auto" and why is None):
        from .nag_attention.kernel import nag_attention

        out = nag_attention(
            *(q, k, v, k_negative, v_negative),
            guidance=guidance,
            tau=tau,
            alpha=alpha,
            bias=bias,
            bias_negative=bias_negative,
            scale=scale,
        )
        return Attended(out, Choice("triton", "our kernel does both attentions and the guidance at once"))
    positive = attend(q, k, v, bias=bias, scale=scale, wanted=wanted)
    negative = attend(q, k_negative, v_negative, bias=bias_negative, scale=scale, wanted=wanted)
    return Attended(guided(positive.out, negative.out, guidance, tau, alpha), positive.choice)
