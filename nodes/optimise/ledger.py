"""What was tried for a picture, and what it took."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate

import torch
from torch import Tensor

from ..sample.gauge import Gauge
from ..types import Figure, Series, Table

_ALONE = 8
"""Up to how many pictures each has its own curve; of more there is only the mean."""


class Ledger:
    """Of one picture: the `rewards` of all that was tried, in order, and the network `calls` up to each of them;
    `backwards` passes, `seconds`, and the most `memory` that one trial held, in bytes, where it is known."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.rewards: list[float] = []
        self.calls: list[int] = []
        self.backwards = 0
        self.seconds = 0.0
        self.memory: int | None = None

    @contextmanager
    def trial(self) -> Iterator[None]:
        """Around all that one trial, or several at once, takes."""
        gauge = Gauge(self._device)
        with gauge.run():
            yield
        self.seconds += gauge.total_seconds
        if gauge.memory is not None:
            self.memory = max(self.memory or 0, gauge.memory)

    def enter(self, rewards: Tensor, calls: int) -> None:
        """Trials (N,) that took `calls` of the network each. One that has no number for a reward is the worst."""
        before = self.calls[-1] if self.calls else 0
        self.calls += [before + calls * (place + 1) for place in range(len(rewards))]
        self.rewards += rewards.nan_to_num(-math.inf, math.inf, -math.inf).tolist()

    @property
    def best(self) -> list[float]:
        """The best reward so far, after each trial."""
        return list(accumulate(self.rewards, max))

    @property
    def chosen(self) -> int:
        """Which trial was the best, the first of equally good ones. There must have been one."""
        return self.rewards.index(max(self.rewards))


def figure(title: str, ledgers: Sequence[Ledger]) -> Figure:
    """The best reward so far over network calls, of each picture and on average."""
    each = [
        Series(f"picture {number}", tuple(map(float, ledger.calls)), tuple(ledger.best))
        for number, ledger in enumerate(ledgers)
    ]
    curves = each if len(each) <= _ALONE else []
    return Figure(
        title, "network calls for a picture", "best reward", (*curves, *(_mean(each) if len(each) > 1 else ()))
    )


def _mean(curves: Sequence[Series]) -> tuple[Series, ...]:
    """Of curves of different lengths, which stay at their last height."""
    longest = max(curves, key=lambda curve: len(curve.x))
    heights = [(*curve.y, *curve.y[-1:] * (len(longest.x) - len(curve.y))) for curve in curves]
    return (Series("mean", longest.x, tuple(sum(column) / len(column) for column in zip(*heights, strict=True))),)


def table(ledgers: Sequence[Ledger], seeds: Sequence[int]) -> Table:
    """A row a picture; `seeds` are those of the chosen noises."""
    columns = (
        "picture", "seed", "first_reward", "best_reward", "chosen", "tried", "network_calls", "backward_passes",
        "seconds", "peak_memory_mb",
    )  # fmt: skip
    return Table(
        columns, tuple((n, seed, *_row(each)) for n, (each, seed) in enumerate(zip(ledgers, seeds, strict=True)))
    )


def _row(ledger: Ledger) -> tuple[float | None, ...]:
    if not ledger.rewards:
        return (None, None, None, 0, 0, 0, 0.0, None)
    memory = None if ledger.memory is None else round(ledger.memory / 1e6, 1)
    found = (ledger.rewards[0], ledger.best[-1], ledger.chosen, len(ledger.rewards))
    return (*found, ledger.calls[-1], ledger.backwards, ledger.seconds, memory)


def facts(ledgers: Sequence[Ledger]) -> dict[str, float]:
    """What all pictures together took and gained, for the report."""
    told: dict[str, float] = {
        "tried": sum(len(ledger.rewards) for ledger in ledgers),
        "network_calls": sum(ledger.calls[-1] for ledger in ledgers if ledger.calls),
        "backward_passes": sum(ledger.backwards for ledger in ledgers),
        "seconds": sum(ledger.seconds for ledger in ledgers),
    }
    if all(ledger.rewards for ledger in ledgers):
        told["mean_first_reward"] = sum(ledger.rewards[0] for ledger in ledgers) / len(ledgers)
        told["mean_best_reward"] = sum(ledger.best[-1] for ledger in ledgers) / len(ledgers)
    memories = [ledger.memory for ledger in ledgers if ledger.memory is not None]
    return told | ({"peak_memory_mb": round(max(memories) / 1e6, 1)} if memories else {})
