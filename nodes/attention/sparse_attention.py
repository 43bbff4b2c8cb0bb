"""Attention to the blocks of a picture that matter, chosen once in a run (SparseD, Wang et al., 2025,
https://arxiv.org/abs/2509.24014).

The first steps are dense: there the layout of a picture is decided. At the last of them each head chooses, for each
block of queries, the share `keep` of the blocks of keys with the largest scores of their means,

    S = pool(Q) pool(K)^T,  pool: the mean of each block

and attends to these alone from then on. Which blocks matter to a head changes little from step to step. (The authors
rank by the mean of the attention itself, for language models, whose prompts and answers they rank apart. Means of
blocks are quicker; and the tokens of a prompt, few beside those of a picture, are all kept where both are one sequence,
and see everything.)

If the first D of T steps are dense and N blocks of keys are K, attention takes D / T + (1 - D / T) K / N of its time at
best. Blocks are skipped by our kernel, on a GPU; elsewhere a mask does the same and saves nothing. Short sequences gain
nothing anywhere: the authors measure gains from 8000 tokens on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field

from ...graph.node import node
from ...kernels.attention import attend
from ...kernels.blocks import Blocks, Lists, number, prepare
from ...kernels.sparse_linear_attention.division import pool
from ..cache.step_cache import PerBranch
from ..models.attentions import tell
from ..models.call import Call, current
from ..types import Model
from .attending import Asked, Attend, AttentionPatch, added, count_blocks

if TYPE_CHECKING:
    from torch import Tensor

Size = Literal[8, 16, 32, 64, 128]


@dataclass(frozen=True)
class SparseAttention(AttentionPatch):
    """Attends to the share `keep` of blocks of `size` tokens after the share `dense` of a run."""

    method: ClassVar[str] = "sparse_attention"

    keep: float
    dense: float
    size: int

    @property
    def neutral(self) -> bool:
        return self.keep >= 1 or self.dense >= 1

    def layer(self, name: str, attention: Any) -> Attend:
        return SparseLayer(self)


class Squares(NamedTuple):
    """How the blocks of one sequence meet: `blocks` of them, of which `prompt` hold tokens of the prompt, and `kept`
    others for each block of the picture."""

    blocks: int
    prompt: range
    kept: int

    @property
    def pairs(self) -> int:
        """Pairs of blocks that meet."""
        said = len(self.prompt)
        return said * self.blocks + (self.blocks - said) * (said + self.kept)

    @property
    def dense(self) -> bool:
        return self.pairs == self.blocks**2


def squares(length: int, size: int, keep: float, prompt: slice | None = None) -> Squares:
    """For a sequence whose tokens at `prompt` are the prompt's. One block at least is kept."""
    blocks = number(length, size)
    said = range(prompt.start // size, number(prompt.stop, size)) if prompt else range(0)
    others = blocks - len(said)
    return Squares(blocks, said, min(others, max(1, math.ceil(keep * others - 1e-9))))


def choose(q: Tensor, k: Tensor, size: int, how: Squares) -> Tensor:
    """The mask (B, H, blocks, blocks) of those blocks that queries and keys (B, H, L, D) keep."""
    scores = pool(q, size) @ pool(k, size).transpose(-1, -2)
    said = slice(how.prompt.start, how.prompt.stop)
    scores[..., said] = -torch.inf
    mask = torch.zeros_like(scores, dtype=torch.bool).scatter_(-1, scores.topk(how.kept, -1).indices, True)
    mask[..., said] = True
    mask[..., said, :] = True
    return mask


class SparseLayer:
    """One layer, with the blocks that each branch of a run keeps in it."""

    def __init__(self, method: SparseAttention) -> None:
        self._method, self._kept = method, PerBranch()

    def __call__(self, asked: Asked) -> Tensor:
        call, length, size = current(), asked.q.shape[2], self._method.size
        if call is None or asked.bias is not None or asked.causal or asked.k.shape[2] != length:
            return asked.dense()
        how = squares(length, size, self._method.keep, asked.prompt)
        last = int(self._method.dense * len(call.steps))
        if how.dense or call.at < last:
            return asked.dense()
        if call.at == last:
            self._choose(call, asked, how)
            return asked.dense()
        kept = self._find(call, asked, how) or self._choose(call, asked, how)  # a cache may have left the layer out
        found = attend(asked.q, asked.k, asked.v, blocks=kept, scale=asked.scale)
        tell(found.choice)
        heads = asked.q.shape[0] * asked.q.shape[1]
        count_blocks(heads * how.pairs, heads * (how.blocks**2 - how.pairs))
        return found.out

    def _choose(self, call: Call, asked: Asked, how: Squares) -> Blocks:
        made = prepare(choose(asked.q, asked.k, self._method.size, how), self._method.size)
        self._kept.put(call.branches, (made.mask, *made.of_queries, *made.of_keys))
        return made

    def _find(self, call: Call, asked: Asked, how: Squares) -> Blocks | None:
        tensors = self._kept.get(call.branches, asked.q.shape[0])
        if tensors is None or tensors[0].shape[-1] != how.blocks:
            return None
        mask, *lists = tensors
        return Blocks(mask, self._method.size, Lists(*lists[:2]), Lists(*lists[2:]))


@node(title="Sparse attention")
def sparse_attention(
    model: Model,
    keep: Annotated[
        float, Field(gt=0, le=1, description="share of the picture's blocks each block attends to; 1 is all")
    ] = 0.3,
    dense: Annotated[
        float, Field(ge=0, le=1, description="share of the run in which attention is dense; 1 is all of it")
    ] = 0.2,
    size: Annotated[
        Size, Field(description="tokens of a block; our kernel, on a GPU, skips blocks of 64 and 128")
    ] = 64,
) -> Model:
    """After the first steps, let each head of self-attention look only at those parts of the picture it looks at most.

    A head chooses its blocks once, for each branch, and keeps them to the end of the run. For pictures of many tokens:
    where a layer has so few that all blocks are kept, it is dense. https://arxiv.org/abs/2509.24014
    """
    return added(model, SparseAttention(keep, dense, size))
