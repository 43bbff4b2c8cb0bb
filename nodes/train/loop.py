"""The one training loop of this folder: AdamW, a decaying rate, a moving average, and checkpoints to resume from."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .checkpoint import load_checkpoint, save_checkpoint

Report = Callable[[int, int, float], None]
"""Told (step, steps, loss) after every step. What it raises ends the run, after a last checkpoint."""


def silent(step: int, steps: int, loss: float) -> None:
    """Report to nobody."""


@dataclass(frozen=True)
class Descent:
    """How to descend: `rate` rises over `warmup` steps and falls along a cosine to a hundredth of itself at the end."""

    steps: int
    rate: float = 1e-3
    warmup: int = 100
    weight_decay: float = 1e-2
    average: float = 0.999
    """Decay of the moving average of the weights, approached gradually in the first steps."""
    clip: float = 1.0
    save_seconds: float = 120.0

    def rate_at(self, step: int) -> float:
        """Learning rate of the update that follows `step` finished ones."""
        if step < self.warmup:
            return self.rate * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


class Trained(NamedTuple):
    """Averaged weights, and the curve as (step, mean loss since the point before)."""

    weights: dict[str, Tensor]
    losses: list[tuple[int, float]]


def generator_at(seed: int, step: int) -> torch.Generator:
    """Randomness of one step. It depends on nothing that came before, so that a resumed run repeats a whole one."""
    return torch.Generator().manual_seed(seed * 1_000_003 + step)


def descend(
    folder: Path,
    model: nn.Module,
    loss_at: Callable[[int], Tensor],
    how: Descent,
    report: Report = silent,
    stop_after: int | None = None,
) -> Trained:
    """Train `model` to `how.steps` steps, going on from the checkpoint in `folder` where there is one.

    `loss_at(step)` must depend on the model's weights and on `step` alone. `stop_after` ends the run early, with a
    checkpoint, as a kill between two steps would. Resuming with another number of steps only bends the rate's curve.
    """
    weights = {name: value for name, value in model.named_parameters() if value.requires_grad}
    average = {name: value.detach().clone() for name, value in weights.items()}
    optimizer = torch.optim.AdamW(weights.values(), lr=how.rate, betas=(0.9, 0.99), weight_decay=how.weight_decay)
    losses: list[tuple[int, float]] = []
    recent: list[float] = []
    step = 0
    if saved := load_checkpoint(folder):
        tensors, state = saved
        step, losses = state["step"], [(at, loss) for at, loss in state["losses"]]
        recent = state.get("recent", [])
        _restore(tensors, weights, average, optimizer)

    def save() -> None:
        save_checkpoint(
            folder,
            _pack(weights, average, optimizer),
            {"step": step, "losses": losses, "recent": recent, "descent": asdict(how)},
        )

    every = max(1, how.steps // 100)
    saved_at = time.monotonic()
    model.train()
    last = how.steps if stop_after is None else min(how.steps, stop_after)
    while step < last:
        for group in optimizer.param_groups:
            group["lr"] = how.rate_at(step)
        loss = loss_at(step)
        loss.backward()
        nn.utils.clip_grad_norm_(weights.values(), how.clip)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        decay = min(how.average, step / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.values()), [value.detach() for value in weights.values()], 1 - decay)
        recent.append(loss.item())
        if not math.isfinite(recent[-1]):
            raise FloatingPointError(f"The loss is {recent[-1]} at step {step}: lower the rate ({how.rate}).")
        if step % every == 0 or step == how.steps:
            losses.append((step, sum(recent) / len(recent)))
            recent.clear()
        try:
            report(step, how.steps, loss.item())
        except BaseException:
            save()
            raise
        if time.monotonic() - saved_at > how.save_seconds:
            save()
            saved_at = time.monotonic()
    save()
    return Trained(average, losses)


def averaged_weights(folder: Path) -> dict[str, Tensor]:
    """The moving average of the weights in the checkpoint of `folder`."""
    saved = load_checkpoint(folder)
    if saved is None:
        raise FileNotFoundError(f"There is no checkpoint in {folder}: train there first.")
    return {name.removeprefix("average."): value for name, value in saved[0].items() if name.startswith("average.")}


def _pack(
    weights: dict[str, nn.Parameter], average: dict[str, Tensor], optimizer: torch.optim.Optimizer
) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for name, value in weights.items():
        tensors[f"weight.{name}"] = value
        tensors[f"average.{name}"] = average[name]
        for key, moment in optimizer.state.get(value, {}).items():
            tensors[f"{key}.{name}"] = moment
    return tensors


def _restore(
    tensors: dict[str, Tensor],
    weights: dict[str, nn.Parameter],
    average: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
) -> None:
    with torch.no_grad():
        for name, value in weights.items():
            value.copy_(tensors[f"weight.{name}"])
            average[name].copy_(tensors[f"average.{name}"])
            moments = {key: tensors.get(f"{key}.{name}") for key in ("step", "exp_avg", "exp_avg_sq")}
            if all(moment is not None for moment in moments.values()):
                optimizer.state[value] = moments
