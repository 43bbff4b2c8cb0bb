"""Sparse-linear attention in the layers of a denoiser (SLA, Zhang et al., 2025, https://arxiv.org/abs/2509.24006).

Of the blocks of keys each block of queries has a share that is critical, another that is negligible, and the rest,
which is marginal, by the means of blocks. Critical ones are attended to exactly, marginal ones in sum:

    O = O^s + Proj(O^l)

(the definitions stand in `kernels/sparse_linear_attention/reference.py`). Proj is a linear map for each layer, shared
by its heads, that training gives, together with the weights of the network, which get used to it. Training begins with
Proj = 0, so that O = O^s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch.nn.functional import linear

from ...graph import atomic
from ...graph.node import NodeError
from ...kernels.attention import attend, attend_sparse_linear
from ...kernels.blocks import number
from ...kernels.sparse_linear_attention.division import Over, counts, divide
from ..models.attentions import note, tell
from .attending import Asked, Attend, AttentionPatch, count_blocks

if TYPE_CHECKING:
    from torch import Tensor

FILE = "sla.safetensors"
"""Where a model fine-tuned for it keeps the projections, beside its parts."""


class Projection(NamedTuple):
    """The weight (D, D) and bias (D,) of a layer's Proj."""

    weight: Tensor
    bias: Tensor


class Shares(NamedTuple):
    """Of the blocks of `size` tokens which are `critical` and `negligible`, and what the linear part sums `over`."""

    critical: float = 0.05
    negligible: float = 0.10
    size: int = 64
    over: Over = "marginal"


@dataclass(frozen=True)
class SparseLinear(AttentionPatch):
    """`projections` is an absolute path, empty for none; `fingerprint` changes when the file does."""

    method: ClassVar[str] = "sla"

    shares: Shares
    projections: str = ""
    fingerprint: str = ""

    def layer(self, name: str, attention: Any) -> Attend:
        if not self.projections:
            return lambda asked: compute(asked, self.shares)
        held = Placed(projection(Path(self.projections), name, self.fingerprint))
        return lambda asked: compute(asked, self.shares, held.like(asked.q))


class Placed:
    """A projection where and as it was last needed."""

    def __init__(self, projection: Projection) -> None:
        self._projection = projection

    def like(self, q: Tensor) -> Projection:
        self._projection = Projection(*(tensor.to(q) for tensor in self._projection))
        return self._projection


def compute(asked: Asked, shares: Shares, projection: Projection | None = None) -> Tensor:
    """What is `asked`, and told in the run's report; without a `projection` the sparse part alone."""
    if asked.bias is not None or asked.causal:
        raise NodeError("sla is defined for attention without a mask, and this model masks some of its own tokens.")
    inputs, (critical, negligible, size, over) = (asked.q, asked.k, asked.v), shares
    rows, columns = number(asked.q.shape[2], size), number(asked.k.shape[2], size)
    kept, _ = counts(columns, critical, negligible)
    if projection is None:
        if kept == columns:
            return asked.dense()
        note("sla: without a projection the sparse part alone is computed, which no model was trained for")
    division = divide(asked.q, asked.k, critical=critical, negligible=negligible, size=size)
    if projection is None:
        found = attend(*inputs, blocks=division.critical, scale=asked.scale)
        out, choice = found.out, found.choice
    else:
        parts, choice = attend_sparse_linear(*inputs, division, over=over, scale=asked.scale)
        out = parts.sparse + linear(parts.linear, projection.weight, projection.bias)
    tell(choice)
    heads = asked.q.shape[0] * asked.q.shape[1]
    count_blocks(heads * rows * kept, heads * rows * (columns - kept))
    return out


# ---------------------------------------------------------------- files


def write(path: Path, projections: Mapping[str, Projection], shares: Shares) -> None:
    """Keep the projections of layers, by name, and what they were trained with."""
    tensors = {
        f"{name}.proj_l.{part}": tensor.detach().cpu().contiguous()
        for name, held in projections.items()
        for part, tensor in held._asdict().items()
    }
    atomic.write(path, save(tensors, metadata={"format": "pt", "sla": json.dumps(shares._asdict())}))


def trained_with(path: Path) -> Shares:
    """What the projections in a file were trained with. Raises `NodeError` for a file without them."""
    try:
        with safe_open(path, framework="pt") as file:
            return Shares(**json.loads((file.metadata() or {})["sla"]))
    except (SafetensorError, KeyError, TypeError, ValueError):
        raise NodeError(
            f"{path.name} holds no projections of sla: it is not a safetensors file that train_sla wrote."
        ) from None


def projection(path: Path, layer: str, fingerprint: str = "") -> Projection:
    """That of a layer. Raises `NodeError` where the file has none for it."""
    tensors = _read(path, fingerprint)
    try:
        return Projection(*(tensors[f"{layer}.proj_l.{part}"] for part in Projection._fields))
    except KeyError:
        raise NodeError(f"{path.name} has no projection for {layer}: it was trained for another model.") from None


@lru_cache(maxsize=2)
def _read(path: Path, fingerprint: str) -> dict[str, Tensor]:
    return load_file(path)
