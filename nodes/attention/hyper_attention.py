"""HyperAttention (Han et al., 2023, https://arxiv.org/abs/2310.05869) where a picture sees itself: an experiment.

The mathematics stands in `kernels/hyper_attention.py`. Nobody has published what it does to pictures. What it computes
is (block + samples) / L of dense attention over L tokens, besides sorting and gathering.

The hash and the samples are drawn from generators that begin anew with every run, one for each layer.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from pydantic import Field

from ...graph.node import node
from ...kernels.hyper_attention import hyper_attention as attend_by_hashing
from ..models.attentions import note, tell
from ..models.call import current
from ..types import Model
from .attending import Asked, Attend, AttentionPatch, added

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class HyperAttention(AttentionPatch):
    """Attends to blocks of sorted keys and to samples of the others, in sequences of `min_length` tokens or more."""

    method: ClassVar[str] = "hyper_attention"

    block: int
    samples: int
    projections: int
    min_length: int

    def layer(self, name: str, attention: Any) -> Attend:
        return HashedLayer(self, zlib.crc32(name.encode()))


class HashedLayer:
    """One layer, with the generator of a run."""

    def __init__(self, method: HyperAttention, seed: int) -> None:
        self._method, self._seed = method, seed
        self._run: Any = None
        self._generator = torch.Generator()

    def __call__(self, asked: Asked) -> Tensor:
        method, (length, keys) = self._method, (asked.q.shape[2], asked.k.shape[2])
        exact = length < method.min_length or keys <= method.block
        if exact or asked.bias is not None or asked.causal:
            return asked.dense()
        call = current()
        if call is None or call.steps is not self._run:
            self._run = call and call.steps
            self._generator.manual_seed(self._seed)
        found = attend_by_hashing(
            *(asked.q, asked.k, asked.v),
            block=method.block,
            samples=method.samples,
            projections=method.projections,
            generator=self._generator,
            scale=asked.scale,
        )
        tell(found.choice)
        note(f"an experiment: each query sees {method.block} keys and {min(method.samples, keys)} samples of {keys}")
        return found.out


@node(title="HyperAttention (experiment)")
def hyper_attention(
    model: Model,
    block: Annotated[int, Field(ge=1, le=65536, description="keys that are sorted next to a query and seen")] = 256,
    samples: Annotated[int, Field(ge=1, le=65536, description="keys drawn to stand for all others")] = 256,
    projections: Annotated[int, Field(ge=1, le=30, description="bits of the hash they are sorted by")] = 7,
    min_length: Annotated[
        int, Field(ge=0, le=1_000_000, description="layers of fewer tokens see everything, exactly")
    ] = 4096,
) -> Model:
    """An experiment: sort queries and keys by a hash, and let each look at those next to it and at samples of the rest.

    Made for long texts; what it does to pictures is for you to find out. With as many samples as tokens it is exact,
    and slower than dense attention. https://arxiv.org/abs/2310.05869
    """
    return added(model, HyperAttention(block, samples, projections, min_length))
