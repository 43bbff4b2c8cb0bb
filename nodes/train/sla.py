"""A transformer that gets used to sparse-linear attention (SLA, Zhang et al., 2025, https://arxiv.org/abs/2509.24006).

All weights learn, and with them a linear map for each layer that begins as 0: with it alone the network would be the
one it was, seeing less. The loss is that of its training; a small share of the steps that took is enough.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusers import SD3Transformer2DModel
from torch import nn

from ..attention.attending import Attend, attached
from ..attention.sparse_linear import Projection, Shares, compute
from .loop import Descent, Report, Trained, descend, silent
from .transformer import Readers, questions


class Projections(nn.Module):
    """A linear map for each layer, by its name; all 0 at first."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.ModuleList()
        self._names: list[str] = []

    def layer(self, shares: Shares, name: str, attention: Any) -> Attend:
        """The attention of a layer, with a map of its own from now on."""
        wide = attention.to_q.out_features // attention.heads
        made = nn.Linear(wide, wide)
        nn.init.zeros_(made.weight)
        nn.init.zeros_(made.bias)
        self.maps.append(made)
        self._names.append(name)
        return lambda asked: compute(asked, shares, _projection(made))

    def named(self) -> dict[str, Projection]:
        """The maps by the names of their layers."""
        return {name: _projection(made) for name, made in zip(self._names, self.maps, strict=True)}


def _projection(made: Any) -> Projection:
    return Projection(made.weight, made.bias)


def fit_sla(
    folder: Path,
    transformer: SD3Transformer2DModel,
    readers: Readers,
    shares: Shares,
    steps: int = 300,
    batch: int = 16,
    rate: float = 1e-4,
    unguided: float = 0.1,
    chunk: int = 4096,
    passes: int = 3,
    seed: int = 0,
    report: Report = silent,
    stop_after: int | None = None,
) -> tuple[dict[str, Projection], Trained]:
    """Fine-tune `transformer` in place, with the checkpoints in `folder`, from the last one on.

    Returns the projections of its layers by name, and the curve; both are moving averages, as the transformer is then.
    """
    model, projections = transformer.requires_grad_(True), Projections()
    asked = questions(readers, batch, unguided, chunk, passes, seed)
    with attached(model, "sla", lambda name, attention: projections.layer(shares, name, attention)):
        both = nn.ModuleDict({"transformer": model, "projections": projections})
        how = Descent(steps, rate, warmup=max(1, min(100, steps // 10)))
        trained = descend(folder, both, lambda step: asked(step)[0].loss(model), how, report, stop_after)
    both.load_state_dict(trained.weights, strict=False)  # the places' sinusoids are not trained
    both.eval().requires_grad_(False)
    return projections.named(), trained
