"""How large changes are, and how alike: Frobenius norms |Δ_i|, and cosines <Δ_i, Δ_j> / |Δ_i| |Δ_j|.

Of low ranks they need no matrix of the weight's size: <B_i A_i, B_j A_j> = sum((B_iᵀ B_j) ⊙ (A_i A_jᵀ)). Of decomposed
ones (DoRA) the low-rank part counts, as the rest depends on the model's weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .change import Change, LowRank

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Inner = dict[str, "Tensor"]
"""Layer -> (n, n) float64, the inner products of what n LoRAs change there; 0 where one changes nothing."""


def inner_products(each: Sequence[Mapping[str, Change]], shapes: Mapping[str, torch.Size]) -> Inner:
    """`each` and `shapes` are by layer."""
    import torch

    found = {}
    for name in dict.fromkeys(name for changes in each for name in changes):
        products = torch.zeros(len(each), len(each), dtype=torch.float64)
        for i, one in enumerate(each):
            for j, other in enumerate(each[: i + 1]):
                if name in one and name in other:
                    products[i, j] = products[j, i] = _inner(one[name], other[name], shapes[name])
        found[name] = products
    return found


def cosines(products: Tensor) -> Tensor:
    """(n, n) of inner products (n, n); 0 where one of two is nothing."""
    import torch

    norms = products.diagonal().sqrt()
    sizes = norms[:, None] * norms
    return torch.where(sizes > 0, products / sizes.clamp_min(1e-300), torch.zeros(())).clamp(-1, 1)


def _inner(one: Change, other: Change, shape: torch.Size) -> float:
    import torch

    if isinstance(one, LowRank) and isinstance(other, LowRank):
        (up1, down1), (up2, down2) = one.factors(), other.factors()
        return one.scale * other.scale * float(((up1.T @ up2).double() * (down1 @ down2.T).double()).sum())
    zeros = torch.zeros(shape)
    deltas = [LowRank.delta(each, zeros) if isinstance(each, LowRank) else each.delta(zeros) for each in (one, other)]
    return float((deltas[0].double() * deltas[1].double()).sum())
