"""How several changes to one weight become one, by peft's own functions.

cat              Δ = sum_i w_i s_i B_i A_i, exactly: the factors are put side by side, and the ranks add up
svd              the same sum, brought to a lower rank by cutting off the smallest singular values
linear           A = sum_i ±sqrt(w_i s_i) A_i and B = sum_i sqrt(w_i s_i) B_i: a rank no higher than before, but B A
                 also holds the products B_i A_j of different LoRAs, so it is not their sum
magnitude_prune  only the share `density` of largest values of each, then the sum
dare_linear      a random share `density` of each, divided by it, then the sum (DARE, https://arxiv.org/abs/2311.03099)
ties             the largest values, and of them those with the sign most have, averaged (TIES,
                 https://arxiv.org/abs/2306.01708); dare_ties: of the random share
task_arithmetic  sum_i w_i Δ_i of the differences themselves (https://arxiv.org/abs/2212.04089), each behind the same
                 mask: m / mean(m) ⊙ Δ_i (Concrete, https://arxiv.org/abs/2312.06173, with a mask that is not learnt
                 but keeps the share `density` where the Δ_i together are largest)

As in peft, linear, magnitude_prune, dare_* and ties work on the factors A and B, each for itself, which must have equal
ranks; with `_svd` behind the name they work on Δ, and the result is brought to a lower rank.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from .change import Change, LowRank, Whole

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Method = Literal[
    "cat",
    "svd",
    "linear",
    "ties",
    "ties_svd",
    "dare_linear",
    "dare_linear_svd",
    "dare_ties",
    "dare_ties_svd",
    "magnitude_prune",
    "magnitude_prune_svd",
    "task_arithmetic",
]
Sign = Literal["total", "frequency"]

ON_FACTORS = ("cat", "linear", "ties", "dare_linear", "dare_ties", "magnitude_prune")
EQUAL_RANKS = ON_FACTORS[1:]


@dataclass(frozen=True)
class How:
    """`rank` 0 is the highest among the changes for what is brought to a lower rank, and for task arithmetic no rank at
    all: the difference itself."""

    method: Method = "cat"
    density: float = 1.0
    sign: Sign = "total"
    rank: int = 0


def merged(changes: Sequence[Change], weights: Sequence[float], shape: torch.Size, how: How) -> Change:
    """One change of a weight of `shape` for several. Of one alone nothing is cut off by cat, linear and svd."""
    import torch

    zeros = torch.zeros(shape)
    if how.method == "cat":
        return _side_by_side(changes, weights)
    if how.method in ON_FACTORS:
        return _on_factors(changes, weights, how)
    deltas = [change.delta(zeros) for change in changes]
    share = torch.tensor(weights)
    if how.method == "task_arithmetic":
        total = _combination("svd", how)(_masked(deltas, how.density), share)
        return lower_rank(total, how.rank) if how.rank else Whole(total)
    rank = how.rank or max((change.rank for change in changes), default=0) or min(shape[0], shape[1:].numel())
    return lower_rank(_combination(how.method, how)(deltas, share), rank)


def lower_rank(delta: Tensor, rank: int) -> LowRank:
    """The nearest change of at most this rank."""
    import torch

    up, values, down = torch.linalg.svd(delta.flatten(1), full_matrices=False)
    up, down = (up * values)[:, :rank].contiguous(), down[:rank].contiguous()
    kernel = (1,) * (delta.ndim - 2)
    return LowRank(down.reshape(-1, *delta.shape[1:]), up.reshape(*up.shape, *kernel), 1.0)


def _side_by_side(changes: Sequence[Change], weights: Sequence[float]) -> LowRank:
    import torch

    pairs = [change for change in changes if isinstance(change, LowRank)]
    down = [weight * each.scale * each.down.float() for each, weight in zip(pairs, weights, strict=True)]
    return LowRank(torch.cat(_alike(down)), torch.cat(_alike([each.up.float() for each in pairs]), dim=1), 1.0)


def _on_factors(changes: Sequence[Change], weights: Sequence[float], how: How) -> LowRank:
    import torch

    pairs = [change for change in changes if isinstance(change, LowRank)]
    scaled = [weight * each.scale for each, weight in zip(pairs, weights, strict=True)]
    signs = torch.tensor([-1.0 if each < 0 else 1.0 for each in scaled])
    root = torch.tensor([abs(each) ** 0.5 for each in scaled])
    combine = _combination(how.method, how)
    down = combine(_alike([each.down.float() for each in pairs]), root * signs)
    return LowRank(down, combine(_alike([each.up.float() for each in pairs]), root), 1.0)


def _alike(factors: list[Tensor]) -> list[Tensor]:
    """For a 1 x 1 convolution some files hold matrices and others kernels."""
    most = max(factor.ndim for factor in factors)
    return [factor.reshape(*factor.shape, *(1,) * (most - factor.ndim)) for factor in factors]


def _combination(method: str, how: How) -> Callable[[list[Tensor], Tensor], Tensor]:
    from peft.utils import merge_utils

    name = method.removesuffix("_svd")
    if name in ("svd", "linear") or (how.density >= 1 and name in ("magnitude_prune", "dare_linear")):
        return merge_utils.task_arithmetic
    options: dict[str, Any] = {"majority_sign_method": how.sign} if "ties" in name else {}
    return partial(_quietly, getattr(merge_utils, name), density=how.density, **options)


def _quietly(function: Callable[..., Tensor], tensors: list[Tensor], weights: Tensor, **options: Any) -> Tensor:
    """peft warns where a density of 1 prunes nothing."""
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The density")
        return function(tensors, weights, **options)


def _masked(deltas: list[Tensor], density: float) -> list[Tensor]:
    import torch
    from peft.utils.merge_utils import magnitude_based_pruning

    if density >= 1:
        return deltas
    mask = (magnitude_based_pruning(torch.stack(deltas).abs().sum(dim=0), density) > 0).float()
    return [delta * (mask / mask.mean().clamp_min(1e-12)) for delta in deltas]
