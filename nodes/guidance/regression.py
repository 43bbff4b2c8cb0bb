"""The unconditional prediction as a linear combination of predictions there are already, for LinearAG.

e_u(x_t) = sum over i <= t of a_i e_c(x_i) + sum over i < t of b_i e_u(x_i),   steps i counted from the first

The scalars a and b of each step t are those of least squares over all values of the predictions of many runs. All that
is needed for them are the inner products of predictions with each other: G = sum over values of v v^T, where v holds
e_c(x_0) ... e_c(x_T-1), e_u(x_0) ... e_u(x_T-1).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pydantic

from ...graph import atomic
from ...graph.node import NodeError

if TYPE_CHECKING:
    from torch import Tensor

KIND = "latentloom LinearAG coefficients"
LEAST = 1e-12
"""Directions of G with less than this share of its largest eigenvalue are rounding, not data."""


@dataclass(frozen=True)
class Coefficients:
    """What was fitted, and for which runs. `conditional[t]` are a_0 ... a_t, `unconditional[t]` b_0 ... b_t-1.

    `model` is the identity of the weights, `prediction` what the network predicts, `times` the noise level of each
    step as `Step.time` has it, 1 for pure noise. `sampler` and `guidance` are told, not compared.
    """

    model: str
    prediction: str
    sampler: str
    guidance: str
    times: tuple[float, ...]
    conditional: tuple[tuple[float, ...], ...]
    unconditional: tuple[tuple[float, ...], ...]

    def estimate(self, conditional: Sequence[Tensor], unconditional: Sequence[Tensor]) -> Tensor:
        """e_u of the last step of `conditional`, before which there are the steps of `unconditional`."""
        at = len(unconditional)
        pairs = zip(
            (*self.conditional[at], *self.unconditional[at]), (*conditional[: at + 1], *unconditional), strict=True
        )
        first, *others = (weight * prediction for weight, prediction in pairs)
        return sum(others, first)


def solve(products: Tensor, step: int) -> tuple[list[float], list[float]]:
    """a and b of a `step`, by least squares, of inner products (2 T, 2 T) in float64."""
    import torch

    known, wanted = _places(len(products) // 2, step)
    matrix, right = products[known][:, known], products[known, wanted]
    # Predictions of neighbouring steps are of very different lengths in other models: each is brought to length one.
    lengths = matrix.diagonal().sqrt().clamp_min(1e-300)
    scaled = matrix / lengths / lengths[:, None]
    found = torch.linalg.pinv(scaled, rtol=LEAST, hermitian=True) @ (right / lengths) / lengths
    return found[: step + 1].tolist(), found[step + 1 :].tolist()


def error(products: Tensor, step: int, weights: Sequence[float]) -> float:
    """|estimate - e_u|² / |e_u|² of a `step`, for `weights` a then b."""
    known, wanted = _places(len(products) // 2, step)
    difference = products.new_zeros(len(products))
    difference[known], difference[wanted] = products.new_tensor(weights), -1.0
    return max(0.0, float(difference @ products @ difference / products[wanted, wanted]))


def _places(steps: int, step: int) -> tuple[list[int], int]:
    """Where in v the predictions stand by which a `step` is told, and its own e_u."""
    return [*range(step + 1), *range(steps, steps + step)], steps + step


class Products:
    """Adds up the inner products of the predictions of runs of `steps`."""

    def __init__(self, steps: int) -> None:
        import torch

        self.matrix = torch.zeros(2 * steps, 2 * steps, dtype=torch.float64)

    def add(self, conditional: Sequence[Tensor], unconditional: Sequence[Tensor]) -> None:
        """Predictions (B, C, h, w) of every step of a run of B pictures."""
        import torch

        values = torch.stack([each.flatten().double().cpu() for each in (*conditional, *unconditional)])
        self.matrix += values @ values.T


def write(path: Path, coefficients: Coefficients) -> None:
    """Put `coefficients` in a JSON file, whole or not at all."""
    atomic.write(path, json.dumps({"kind": KIND, **asdict(coefficients)}, indent=1).encode())


def read(path: Path) -> Coefficients:
    """What `write` wrote. Raises `NodeError` for anything else."""
    try:
        found = json.loads(path.read_text("utf-8"))
        if found.pop("kind") != KIND:
            raise ValueError
        coefficients = pydantic.TypeAdapter(Coefficients).validate_python(found)
        steps = range(len(coefficients.times))
        if [len(each) for each in coefficients.conditional] != [step + 1 for step in steps] or [
            len(each) for each in coefficients.unconditional
        ] != list(steps):
            raise ValueError
    except OSError as problem:
        raise NodeError(f"{path.name} cannot be read: {problem.strerror}.") from None
    except (ValueError, KeyError, AttributeError, TypeError):
        raise NodeError(f"{path.name} holds no coefficients of LinearAG; take a file fit_linear_ag wrote.") from None
    return coefficients
