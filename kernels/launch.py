"""What every launch of a Triton kernel needs: how it is compiled, and how a head is cut into tiles.

Importing this imports Triton. Nothing outside the kernels does; what chooses a kernel imports it when it is chosen.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor
from triton import knobs

LOG2E = math.log2(math.e)
"""Kernels exponentiate with base 2, which the hardware does; scores are brought to units of log 2 beforehand."""

INTERPRETED = knobs.runtime.interpret
"""TRITON_INTERPRET=1 runs kernels in NumPy, on the CPU, one program after the other: for tests."""

TUNED = torch.cuda.is_available() and not INTERPRETED

OPTIONS: dict[str, Any] = {"enable_fp_fusion": True}
"""A multiplication and an addition become one instruction, rounded once."""


class Split(NamedTuple):
    """A head dimension as the sum of two powers of two: 40 = 32 + 16, 80 = 64 + 16, 160 = 128 + 32; 64 = 64 + 0.

    Tiles are as wide as a power of two, and matrix units want 16 at least. One power of two alone would compute 64, 128
    and 256 columns for these heads.
    """

    WIDE: int
    REST: int


def split(head: int) -> Split:
    if not 1 <= head <= 256:
        raise ValueError(f"a head of {head} does not fit: 1 to 256 are accepted.")
    wide = max(16, 1 << (head.bit_length() - 1))
    rest = max(16, 1 << (head - wide - 1).bit_length()) if head > wide else 0
    return Split(wide, rest) if rest < wide else Split(2 * wide, 0)


def alignment(length: int) -> int:
    """The largest tile, up to 128, that divides a length: tiles no larger need no mask at the end."""
    return math.gcd(length, 128)


def tuned(*configs: triton.Config, key: tuple[str, ...]) -> Callable[[Any], Any]:
    """Let the device choose between configurations once for each `key`, and keep the choice on disk.

    Without a device nothing is chosen, and the launch gives the tiles.
    """

    def fitting(found: list[triton.Config], arguments: dict[str, Any], **constants: Any) -> list[triton.Config]:
        """Tiles lie within one block of a block mask, large heads leave no room for large tiles, TMA must fit."""
        given = arguments | constants
        found = [config for config in found if given.get("TMA_FITS") or not config.kwargs.get("TMA")]
        block, head = given.get("BLOCK") or 128, given["WIDE"] + given["REST"]
        fit = [config for config in found if max(tile(config)) <= block and math.prod(tile(config)) * head <= 2**21]
        return fit or [min(found, key=lambda config: math.prod(tile(config)))]

    def tile(config: triton.Config) -> tuple[int, int]:
        return config.kwargs["QUERIES"], config.kwargs["KEYS"]

    def decorate(kernel: Any) -> Any:
        if not TUNED:
            return kernel
        prune = {"early_config_prune": fitting}
        return triton.autotune(list(configs), key=list(key), prune_configs_by=prune, cache_results=True)(kernel)

    return decorate


def config(queries: int, keys: int, warps: int, stages: int, **more: bool) -> triton.Config:
    return triton.Config({"QUERIES": queries, "KEYS": keys, **more}, num_warps=warps, num_stages=stages)


def tiles(queries: int = 64, keys: int = 64) -> dict[str, int]:
    """Tiles for a launch whose kernel was not tuned."""
    return {} if TUNED else {"QUERIES": queries, "KEYS": keys}


def grid(sequences: int, length: int, by: str = "QUERIES") -> Callable[[dict[str, int]], tuple[int]]:
    """As many programs as tiles of all sequences, see `tiles.place`."""
    return lambda chosen: (sequences * -(-length // chosen[by]),)


def head_of(*tensors: Tensor) -> dict[str, int]:
    """How the heads of tensors (B, H, L, D) are cut, and whether `tiles.known` may say that they lie on eights."""
    head = tensors[0].shape[3]
    return {"HEAD": head, **split(head)._asdict(), "EIGHTS": all(map(_on_eights, tensors))}


def _on_eights(tensor: Tensor) -> bool:
    return tensor.stride(3) == 1 and all(tensor.shape[axis] == 1 or tensor.stride(axis) % 8 == 0 for axis in range(3))


@cache
def has_tma(device: torch.device) -> bool:
    """Hopper and what came after load whole tiles by a descriptor, with their tensor memory accelerator (TMA)."""
    if not TUNED or device.type != "cuda" or torch.version.hip is not None:
        return False
    return torch.cuda.get_device_capability(device) >= (9, 0)


def tma_fits(*tensors: Tensor) -> bool:
    """Whether TMA may load tiles of tensors (B, H, L, D): all rows begin on 16 bytes, and none lies over another.

    In 16 bits only: products of 32 bits are not for the matrix units that it feeds.
    """
    return all(
        has_tma(tensor.device)
        and tensor.itemsize == 2
        and tensor.data_ptr() % 16 == 0
        and _on_eights(tensor)
        and tensor.stride(2) % 8 == 0
        and tensor.stride(2) >= tensor.shape[3]
        for tensor in tensors
    )


def scratch(size: int, alignment: int, stream: int | None) -> Tensor:
    """Memory on the GPU in which programs write their descriptors, for `triton.set_allocator`.

    Triton remembers an allocator per thread, so whoever launches with TMA sets it each time.
    """
    return torch.empty(size, dtype=torch.int8, device="cuda")


def kind(bias: Tensor | None) -> int:
    """None 0, to be added 1, a mask of what is seen 2."""
    return 0 if bias is None else 2 if bias.dtype == torch.bool else 1


def pairs(q: Tensor, k: Tensor, counts: Tensor | None, block: int) -> int:
    """Of queries and keys that meet. Short last blocks count as whole."""
    batch, heads, n_queries, _ = q.shape
    if counts is None:
        return batch * heads * n_queries * k.shape[2]
    return int(counts.expand(batch, heads, -1).sum()) * block**2


def widened(tensor: Tensor) -> bool:
    """The interpreter multiplies bfloat16 as if it were integers; it is given float32 instead."""
    return INTERPRETED and tensor.dtype == torch.bfloat16


def checked(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values with one batch and one number of heads: those of size 1 are repeated without a copy.

    Raises `ValueError` for shapes (B, H, L, D) that do not go together.
    """
    if not q.ndim == k.ndim == v.ndim == 4:
        raise ValueError(f"attention takes (batch, heads, length, head), not {q.ndim}, {k.ndim} and {v.ndim} axes.")
    if k.shape[2:] != v.shape[2:] or q.shape[3] != k.shape[3]:
        raise ValueError(f"lengths or heads differ: q {tuple(q.shape)}, k {tuple(k.shape)}, v {tuple(v.shape)}.")
    if not q.dtype == k.dtype == v.dtype:
        raise ValueError(f"q, k and v are of one type, not {q.dtype}, {k.dtype} and {v.dtype}.")
    if not q.is_floating_point() or q.dtype == torch.float64:
        raise ValueError(f"attention kernels take float32, float16 and bfloat16, not {q.dtype}.")
    try:
        shape = torch.broadcast_shapes(q.shape[:2], k.shape[:2], v.shape[:2])
    except RuntimeError:
        raise ValueError(
            f"batches or heads differ: q {tuple(q.shape)}, k {tuple(k.shape)}, v {tuple(v.shape)}."
        ) from None
    split(q.shape[3])
    return q.expand(*shape, -1, -1), k.expand(*shape, -1, -1), v.expand(*shape, -1, -1)
