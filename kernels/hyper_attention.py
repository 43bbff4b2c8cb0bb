"""Attention in near linear time, by sorting (HyperAttention, Han et al., 2023, https://arxiv.org/abs/2310.05869).

Queries and keys that point the same way fall into the same bucket of an angular hash,

    bucket(x) = place in the Gray code of (sign <x, w_1>, ..., sign <x, w_p>),  w_i normal

Both are sorted by bucket and cut into as many blocks: a block of queries attends exactly to the block of keys of its
own place, and to `samples` keys drawn for each head, which stand for all others: each weighs L / samples, and those
that lie in the block itself are left out. Both parts have their log-sum-exp, and are merged by it:

    O = sigmoid(lse_1 - lse_2) O_1 + sigmoid(lse_2 - lse_1) O_2

Keys are drawn without repetition, so that with as many samples as keys the result is exact. What is computed is
(block + samples) / L of dense attention. It is near where few keys hold most of each row's weight.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from .attention import Attended, attend
from .blocks import number


def hyper_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    block: int = 256,
    samples: int = 256,
    projections: int = 7,
    generator: torch.Generator | None = None,
    scale: float | None = None,
) -> Attended:
    """Of queries (B, H, L, D) to keys and values (B, H, M, D), and what ran. Dense where M is at most `block`.

    `generator` draws the hash and the samples, on its own device.
    """
    batch, heads, keys, _ = k.shape
    if keys <= block:
        return attend(q, k, v, scale=scale)
    blocks = number(keys, block)
    wide = number(q.shape[2], blocks)  # queries in a block
    directions = _draw((k.shape[3], projections), generator, k, normal=True)
    place_of_q, place_of_k = (buckets(x, directions).argsort(dim=-1, stable=True) for x in (q, k))
    q, k, v = (_taken(x, order) for x, order in ((q, place_of_q), (k, place_of_k), (v, place_of_k)))

    near = attend(
        *(_folded(x, blocks, size) for x, size in ((q, wide), (k, block), (v, block))),
        bias=(torch.arange(blocks * block, device=k.device) < keys).view(1, blocks, 1, block),
        scale=scale,
        with_lse=True,
    )
    drawn = _draw((batch, heads, keys), generator, k).topk(min(samples, keys), -1).indices
    elsewhere = (drawn // block)[:, :, None] != (torch.arange(q.shape[2], device=q.device) // wide)[:, None]
    far = attend(q, _taken(k, drawn), _taken(v, drawn), bias=elsewhere, scale=scale, with_lse=True)
    assert near.lse is not None and far.lse is not None

    lse_near, lse_far = (
        near.lse.reshape(batch, heads, -1)[..., : q.shape[2]],
        far.lse + math.log(keys / drawn.shape[-1]),
    )
    out_near = near.out.reshape(batch, heads, -1, v.shape[3])[:, :, : q.shape[2]]
    share = torch.sigmoid(lse_near - lse_far)[..., None]
    out = (share * out_near + (1 - share) * far.out).to(q.dtype)
    return Attended(_taken(out, place_of_q.argsort(-1)), near.choice)


def buckets(x: Tensor, directions: Tensor) -> Tensor:
    """Of vectors (B, H, L, D), by the signs of their products with `directions` (D, p): 0 to 2^p - 1. Neighbouring
    buckets differ in one sign."""
    code = (x @ directions > 0).long()
    place = torch.zeros_like(code[..., 0])
    bit = place
    for each in code.unbind(-1):  # a Gray code read from its highest bit: each is the one before, flipped where set
        bit = bit ^ each
        place = 2 * place + bit
    return place


def _draw(shape: tuple[int, ...], generator: torch.Generator | None, like: Tensor, normal: bool = False) -> Tensor:
    """Random numbers in [0, 1), or normal ones in the type of `like`; the same whatever device `like` is on."""
    device = like.device if generator is None else generator.device
    if normal:
        return torch.randn(shape, generator=generator, device=device).to(like)
    return torch.rand(shape, generator=generator, device=device).to(like.device)


def _taken(x: Tensor, places: Tensor) -> Tensor:
    """Rows (B, H, n, D) of x (B, H, L, D) at places (B, H, n)."""
    return x.gather(2, places[..., None].expand(*places.shape, x.shape[3]))


def _folded(x: Tensor, blocks: int, size: int) -> Tensor:
    """(B, H, L, D) to (B * H, blocks, size, D); zeros fill the last."""
    return pad(x, (0, 0, 0, blocks * size - x.shape[2])).unflatten(2, (blocks, size)).flatten(0, 1)
