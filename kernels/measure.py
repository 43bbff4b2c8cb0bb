"""Times on a GPU, taken so that they can be compared: in turns, in one run, as medians."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping

import torch


def seconds(calls: Mapping[str, Callable[[], object]], *, rounds: int = 15, at_least: float = 1e-3) -> dict[str, float]:
    """Of one call of each. Each round times all of them, one after the other, so that a clock that changes changes all;
    a call is repeated until `at_least` so many seconds pass, which the launch of a kernel alone does not fill.
    """
    repeats = {}
    for name, call in calls.items():
        call()
        call()  # the first compiles, and chooses between configurations
        repeats[name] = max(1, int(at_least / max(_time(call, 1), 1e-6)))
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            found[name].append(_time(call, repeats[name]))
    return {name: statistics.median(times) for name, times in found.items()}


def _time(call: Callable[[], object], repeats: int) -> float:
    began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    began.record()
    for _ in range(repeats):
        call()
    ended.record()
    ended.synchronize()
    return began.elapsed_time(ended) / 1e3 / repeats
