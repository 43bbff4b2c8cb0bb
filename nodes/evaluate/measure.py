"""What methods gain and what they cost, beside the plain run that takes the same time."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from ...graph.node import NodeError, node
from ...graph.problems import closest
from ...graph.progress import QUIET, Progress
from ..types import Conditioning, Method, Methods, Noise, Prompts, Results, Reward


@node
def measure(
    methods: tuple[Methods, ...],
    noise: Noise,
    positive: Conditioning,
    negative: Conditioning | None = None,
    prompts: Prompts | None = None,
    reward: Reward | None = None,
    baseline: Annotated[
        str, Field(max_length=200, description="name of the method the others are held against; empty: the first")
    ] = "",
    rounds: Annotated[int, Field(ge=1, le=1000, description="how often each is timed; the median counts")] = 3,
    warm_up: Annotated[int, Field(ge=1, le=100, description="runs before; the first counts and draws")] = 1,
    at_once: Annotated[int, Field(ge=0, le=10_000, description="pictures in one run; 0: all of them")] = 0,
    equal_time: Annotated[
        bool, Field(description="also run the baseline with as many steps as take each method's time")
    ] = True,
    progress: Progress = QUIET,
) -> Results:
    """Run methods by turns on the same noises and prompts: their pictures, and what they take.

    Every method is run in each round, in another order each time, so that what disturbs the machine disturbs all.
    Beside every method that is not the baseline with other steps the plain run is measured that takes the same time.
    The time is that of sampling: loading, encoding prompts and decoding are not part of it.

    `prompts` and `reward` are handed on to compare, which judges the pictures by them; wired there, they can be changed
    without measuring anew.
    """
    from .measuring import Bench, as_long, is_plain, plain, shares

    every = _named([method for several in methods for method in several.each], baseline)
    first = every[0]
    bench = Bench(list(shares(noise, positive, negative, at_once)), rounds, warm_up, progress)
    found = [
        replace(each, plain=is_plain(method, first)) for method, each in zip(every, bench.measure(every), strict=True)
    ]
    if equal_time:
        base = found[0]
        rivals = {each.name: plain(first, as_long(base, each.seconds)) for each in found if not each.plain}
        known = {method.schedule.steps: each.name for method, each in zip(every, found, strict=True) if each.plain}
        missing = {method.schedule.steps: method for method in rivals.values() if method.schedule.steps not in known}
        known |= {steps: method.name for steps, method in missing.items()}
        if missing:
            again, *made = bench.measure([first, *missing.values()])
            scale = base.seconds / again.seconds
            found += [replace(each, plain=True, seconds=each.seconds * scale) for each in made]
        found = [
            replace(each, rival=known[rivals[each.name].schedule.steps]) if each.name in rivals else each
            for each in found
        ]
    return Results(tuple(found), prompts, reward)


def _named(every: list[Method], baseline: str) -> list[Method]:
    """`every` method, the baseline first. Raises `NodeError` for names that are missing or used twice."""
    names = [method.name for method in every]
    if not every:
        raise NodeError("There is no method to measure: wire one or more into methods.")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise NodeError(f"Names tell methods apart, and {', '.join(map(repr, twice))} is used twice; give others.")
    if not baseline:
        return every
    if baseline not in names:
        meant = closest(baseline, names)
        hint = f" Did you mean {meant!r}?" if meant else ""
        raise NodeError(f"The baseline {baseline!r} is none of {', '.join(map(repr, names))}.{hint}")
    return sorted(every, key=lambda method: method.name != baseline)
