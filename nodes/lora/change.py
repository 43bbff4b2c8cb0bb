"""How the weight W of one layer changes: W' = W + strength · Δ(W).

Low rank (LoRA, Hu et al., 2021, https://arxiv.org/abs/2106.09685):          Δ = s·B A
Decomposed (DoRA, Liu et al., 2024, https://arxiv.org/abs/2402.09353):       Δ = m (W + s·B A) / |W + s·B A| - W
Hadamard (LoHa, Hyeon-Woo et al., 2021, https://arxiv.org/abs/2108.06098):   Δ = s·(B1 A1) ⊙ (B2 A2)
Kronecker (LoKr, Yeh et al., 2023, https://arxiv.org/abs/2309.14859):        Δ = s·K1 ⊗ K2

s is alpha / r, or alpha / sqrt(r) for rank-stabilised LoRA (https://arxiv.org/abs/2312.03732). A strength below 1 goes
a part of the way to W' for each of them, DoRA too, so that 0 is always the model itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Change:
    """A change to a weight (out, in) of a linear layer or (out, in, h, w) of a convolution."""

    def delta(self, weight: Tensor) -> Tensor:
        """Δ of the base `weight`, float32, in its shape and on its device."""
        raise NotImplementedError

    def fits(self, shape: torch.Size) -> bool:
        """Whether it changes a weight of this shape."""
        raise NotImplementedError

    @property
    def rank(self) -> int:
        """Of the factors; 0 where there are none."""
        return 0


Changes = Mapping[str, Mapping[str, Change]]
"""Part -> module -> change."""


@dataclass(frozen=True, eq=False)
class LowRank(Change):
    """`down` A (r, in) or (r, in, h, w), `up` B (out, r) or (out, r, 1, 1)."""

    down: Tensor
    up: Tensor
    scale: float

    def delta(self, weight: Tensor) -> Tensor:
        up, down = self.factors(weight.device)
        return (self.scale * (up @ down)).reshape(weight.shape)

    def factors(self, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
        """B (out, r) and A (r, in·h·w), float32."""
        return self.up.to(device).float().flatten(1), self.down.to(device).float().flatten(1)

    def fits(self, shape: torch.Size) -> bool:
        inner = self.up.ndim >= 2 and self.up[0].numel() == len(self.down)
        return inner and len(self.up) == shape[0] and self.down[0].numel() == prod(shape[1:])

    @property
    def rank(self) -> int:
        return len(self.down)


@dataclass(frozen=True, eq=False)
class Decomposed(LowRank):
    """DoRA: `magnitude` m holds one length for each output, or with `by_input` one for each input (LyCORIS' older
    files)."""

    magnitude: Tensor
    by_input: bool = False

    def delta(self, weight: Tensor) -> Tensor:
        import torch

        base = weight.float()
        moved = base + super().delta(weight)
        kept = 1 if self.by_input else 0
        others = tuple(dim for dim in range(moved.ndim) if dim != kept)
        shape = [-1 if dim == kept else 1 for dim in range(moved.ndim)]
        length = self.magnitude.to(weight.device).float().reshape(shape)
        return moved * (length / torch.linalg.vector_norm(moved, dim=others, keepdim=True)) - base

    def fits(self, shape: torch.Size) -> bool:
        return super().fits(shape) and self.magnitude.numel() == shape[1 if self.by_input else 0]


@dataclass(frozen=True, eq=False)
class Hadamard(Change):
    """`first` and `second` are (B, A), or (B, A, core) of a Tucker decomposition with cores (r, r, h, w)."""

    first: tuple[Tensor, ...]
    second: tuple[Tensor, ...]
    scale: float

    def delta(self, weight: Tensor) -> Tensor:
        import torch
        from peft.tuners.loha.layer import make_weight, make_weight_cp

        first, second = ([part.to(weight.device).float() for part in parts] for parts in (self.first, self.second))
        scale = torch.tensor(self.scale, device=weight.device)
        if len(first) == 2:
            (b1, a1), (b2, a2) = first, second
            return make_weight(b1, a1, b2, a2, scale).reshape(weight.shape)
        (b1, a1, t1), (b2, a2, t2) = first, second
        return make_weight_cp(t1, b1, a1, t2, b2, a2, scale).reshape(weight.shape)

    def fits(self, shape: torch.Size) -> bool:
        if len(self.first) == 2:
            return all(len(b) == shape[0] and a.shape[1] == prod(shape[1:]) for b, a in (self.first, self.second))
        return all(
            (b.shape[1], a.shape[1], *core.shape[2:]) == tuple(shape) for b, a, core in (self.first, self.second)
        )

    @property
    def rank(self) -> int:
        return len(self.first[1])


@dataclass(frozen=True, eq=False)
class Kronecker(Change):
    """`first` and `second` are whole factors (K,), products (B, A), or Tucker decompositions (B, A, core)."""

    first: tuple[Tensor, ...]
    second: tuple[Tensor, ...]
    scale: float

    def delta(self, weight: Tensor) -> Tensor:
        from peft.tuners.lokr.layer import make_kron

        first, second = (_whole(parts, weight.device) for parts in (self.first, self.second))
        return make_kron(first, second, self.scale).reshape(weight.shape)

    def fits(self, shape: torch.Size) -> bool:
        (out1, in1), (out2, in2) = _ends(self.first), _ends(self.second)
        return out1 * out2 == shape[0] and in1 * in2 in (shape[1], prod(shape[1:]))

    @property
    def rank(self) -> int:
        return max((len(parts[1]) for parts in (self.first, self.second) if len(parts) > 1), default=0)


@dataclass(frozen=True, eq=False)
class Whole(Change):
    """`values` are the difference itself, in the weight's shape."""

    values: Tensor

    def delta(self, weight: Tensor) -> Tensor:
        return self.values.to(weight.device).float().reshape(weight.shape)

    def fits(self, shape: torch.Size) -> bool:
        return self.values.shape == shape


def _whole(parts: tuple[Tensor, ...], device: torch.device) -> Tensor:
    from peft.tuners.lokr.layer import make_weight_cp

    found = [part.to(device).float() for part in parts]
    if len(found) == 1:
        return found[0]
    return found[0] @ found[1] if len(found) == 2 else make_weight_cp(found[2], found[0], found[1])


def _ends(parts: tuple[Tensor, ...]) -> tuple[int, int]:
    """Outputs and inputs of a factor; a kernel's pixels count as inputs where they are flattened into them."""
    if len(parts) == 1:
        return parts[0].shape[0], parts[0].shape[1]
    return (len(parts[0]) if len(parts) == 2 else parts[0].shape[1]), parts[1].shape[1]
