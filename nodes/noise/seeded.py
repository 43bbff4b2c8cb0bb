"""Noise of given seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..types import Noise

MAX_SEED = 2**53 - 1
"""The largest whole number that JSON readers agree on."""


def seeded(seeds: Iterable[int], shape: Sequence[int]) -> Noise:
    """Standard normal noise of `shape` (C, h, w) for each of `seeds`, drawn on the CPU by a generator of its own."""
    import torch

    seeds = tuple(seeds)
    drawn = [torch.randn((1, *shape), generator=torch.Generator("cpu").manual_seed(one)) for one in seeds]
    return Noise(torch.cat(drawn), seeds)
