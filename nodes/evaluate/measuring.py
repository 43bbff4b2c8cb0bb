"""Methods run by turns in one process, so that what slows the machine down slows all of them.

Every method is first run with counters, which also warms it up and draws its pictures. Then all are timed, round after
round, each round beginning with another method; what counts is the median. The baseline's time for a step tells how
many of them take as long as a method does: that plain run is then counted and timed in the same way, beside the
baseline, whose time is what its own is scaled by.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from statistics import median
from typing import Any

import torch

from ...graph.progress import QUIET, Progress
from ..models.conditioning import check_prompts, part_of
from ..models.live import use
from ..sample.run import run
from ..sample.task import Task
from ..types import Branch, Conditioning, Image, Measured, Method, Model, Noise, Report

MOST_STEPS = 1000


@dataclass(frozen=True, eq=False)
class Share:
    """Some of the pictures: their rows of all that has one for each."""

    noise: Noise
    positive: Conditioning
    negative: Conditioning | None
    rows: slice
    images: int

    def of(self, value: Any) -> Any:
        """`value`, a recipe that may hold conditions for all pictures, for these."""
        return part_of(value, self.rows, self.images)


def shares(noise: Noise, positive: Conditioning, negative: Conditioning | None, at_once: int) -> Iterator[Share]:
    """All pictures, `at_once` at a time; 0 is all together. Raises `NodeError` for another number of prompts."""
    images = len(noise.samples)
    check_prompts(images, positive=positive, negative=negative)
    for start in range(0, images, at_once or images):
        rows = slice(start, start + (at_once or images))
        ours, wanted, unwanted = part_of((noise, positive, negative), rows, images)
        yield Share(ours, wanted, unwanted, rows, images)


class Bench:
    """Runs methods on `work`, for `rounds` timed rounds after `warm_up` others."""

    def __init__(self, work: Sequence[Share], rounds: int, warm_up: int, progress: Progress = QUIET) -> None:
        self._work, self._rounds, self._warm_up, self._progress = work, rounds, warm_up, progress
        self._quiet = Progress(lambda *_: progress.stop_if_cancelled())
        self._empty: dict[Model, Conditioning] = {}
        self._done = self._total = 0

    def measure(self, methods: Sequence[Method]) -> list[Measured]:
        """Each of `methods`, in their order."""
        self._total += len(methods) * (self._warm_up + self._rounds)
        return self._timed(self.draw(methods), methods)

    def draw(self, methods: Sequence[Method]) -> list[Measured]:
        """The pictures of each method, and what was counted."""
        drawn = []
        for method in methods:
            images, reports = [], []
            for share in self._work:
                latent, report = self._run(method, share, count_flops=True)
                reports.append(report)
                with torch.no_grad(), use(method.model, self._quiet) as parts:
                    images.append(parts.family.decode(parts, latent.samples))
            self._told(f"{method.name}: drawn")
            for _ in range(self._warm_up - 1):
                self._once(method, "warming up")
            report = together(reports)
            drawn.append(Measured(method.name, method.group, Image(torch.cat(images)), report, report.total_seconds))
        return drawn

    def _timed(self, drawn: Sequence[Measured], methods: Sequence[Method]) -> list[Measured]:
        """`drawn` with the median time of each method."""
        reports: list[list[Report]] = [[] for _ in methods]
        for number in range(self._rounds):
            for turn in range(len(methods)):
                index = (turn + number) % len(methods)
                reports[index].append(self._once(methods[index], f"round {number + 1} of {self._rounds}"))
        return [_with_times(each, timed) for each, timed in zip(drawn, reports, strict=True)]

    def _once(self, method: Method, label: str) -> Report:
        report = together([self._run(method, share)[1] for share in self._work])
        self._told(f"{method.name}: {label}")
        return report

    def _told(self, label: str) -> None:
        self._done += 1
        self._progress.step(self._done, self._total, label)

    def _run(self, method: Method, share: Share, count_flops: bool = False) -> Any:
        task = Task.whole(share.noise, method.schedule.steps)
        negative = share.negative or self._nothing(method.model)
        given = (share.positive, negative, method.schedule, method.sampler, share.of(method.guidance))
        return run(method.model, task, *given, count_flops=count_flops, progress=self._quiet)

    def _nothing(self, model: Model) -> Conditioning:
        """The empty prompt, encoded once: it is no part of what a method takes."""
        if model not in self._empty:
            with torch.no_grad(), use(model, self._quiet) as parts:
                self._empty[model] = parts.family.empty(parts, self._quiet)
        return self._empty[model]


def plain(baseline: Method, steps: int) -> Method:
    """The baseline with another number of steps."""
    schedule = replace(baseline.schedule, steps=steps, timesteps=())
    return replace(baseline, name=f"{baseline.name}, {steps} step{'s' * (steps != 1)}", schedule=schedule)


def is_plain(method: Method, baseline: Method) -> bool:
    """Whether it is the baseline, with whatever number of steps."""
    if replace(method, name=baseline.name, group=baseline.group) == baseline:
        return True
    return replace(plain(baseline, method.schedule.steps), name=method.name, group=method.group) == method


def as_long(baseline: Measured, seconds: float) -> int:
    """How many steps of the baseline take `seconds`, by what one of its steps takes and what all of them share."""
    fixed, step = _fixed_and_step(baseline)
    return min(MOST_STEPS, max(1, round((seconds - fixed) / step)))


def lasting(baseline: Measured, steps: int) -> float:
    """The seconds that so many steps of the baseline take."""
    fixed, step = _fixed_and_step(baseline)
    return fixed + steps * step


def _fixed_and_step(baseline: Measured) -> tuple[float, float]:
    """The seconds that a run takes with whatever number of steps, and those of one step."""
    steps = sum(baseline.report.seconds)
    return baseline.seconds - steps, steps / baseline.report.steps


def together(reports: Sequence[Report]) -> Report:
    """What several runs took, each with some of the pictures."""
    made, saved, counts = Counter[str](), Counter[str](), Counter[str]()
    for report in reports:
        made.update({branch.name: branch.made for branch in report.branches})
        saved.update({branch.name: branch.saved for branch in report.branches})
        counts.update(dict(report.counts))
    memory = [report.memory for report in reports if report.memory is not None]
    flops = [report.flops for report in reports if report.flops is not None]
    return Report(
        steps=max(report.steps for report in reports),
        passes=sum(report.passes for report in reports),
        branches=tuple(Branch(name, made[name], saved[name]) for name in made),
        counts=tuple(counts.items()),
        seconds=tuple(map(sum, zip_longest(*(report.seconds for report in reports), fillvalue=0.0))),
        total_seconds=sum(report.total_seconds for report in reports),
        memory=max(memory) if memory else None,
        flops=sum(flops) if flops else None,
        runs=len(reports),
    )


def _with_times(drawn: Measured, reports: Sequence[Report]) -> Measured:
    """`drawn` with the medians of its timed runs."""
    seconds = tuple(map(median, zip(*(report.seconds for report in reports), strict=True)))
    total = median(report.total_seconds for report in reports)
    return replace(drawn, report=replace(drawn.report, seconds=seconds, total_seconds=total), seconds=total)
