"""Methods measured by turns, beside the plain run that takes the same time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from studio import NEGATIVE, PROMPT, Studio

from latentloom.graph.node import NodeError
from latentloom.graph.progress import Cancelled, Progress
from latentloom.nodes.cache.deepcache import deepcache
from latentloom.nodes.evaluate import measuring
from latentloom.nodes.evaluate.measure import measure
from latentloom.nodes.evaluate.measuring import as_long, is_plain, lasting, plain, together
from latentloom.nodes.evaluate.method import method
from latentloom.nodes.evaluate.sweep import sweep
from latentloom.nodes.guidance.adaptive_guidance import adaptive_guidance
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.guidance.multi_condition import multi_condition
from latentloom.nodes.image.decode import decode
from latentloom.nodes.prompt.encode_prompt import encode_prompt
from latentloom.nodes.prompt.encode_prompts import encode_prompts
from latentloom.nodes.sample.denoise import denoise
from latentloom.nodes.schedule.sampler import sampler
from latentloom.nodes.schedule.schedule import schedule
from latentloom.nodes.types import Branch, Conditioning, Image, Latent, Measured, Methods, Prompts, Report, Results

STEPS = 6


def a_method(studio: Studio, name: str = "plain", **changes: Any) -> Methods:
    usual = {"model": studio.model, "schedule": schedule(STEPS), "sampler": sampler("euler"), "guidance": cfg(5)}
    return method(**{**usual, **changes}, name=name)


def measured(
    studio: Studio, *methods: Methods, images: int = 1, positive: Conditioning | None = None, **options: Any
) -> Results:
    words, unwanted = positive or encode_prompt(studio.model, PROMPT), encode_prompt(studio.model, NEGATIVE)
    given = {"rounds": 1, "equal_time": False, **options}
    return measure(methods, studio.noise(images), words, unwanted, **given)


def flops(result: Measured) -> int:
    assert result.report.flops is not None
    return result.report.flops


# ---------------------------------------------------------------- pictures and counts


def test_pictures_are_those_of_denoise_and_decode(sd: Studio) -> None:
    cached = a_method(sd, "cached", model=deepcache(sd.model, 2))
    found = measured(sd, a_method(sd), cached, images=2)
    words, unwanted = encode_prompt(sd.model, PROMPT), encode_prompt(sd.model, NEGATIVE)
    for each, (way,) in zip(found.each, (a_method(sd).each, cached.each), strict=True):
        given = {"schedule": way.schedule, "sampler": way.sampler, "guidance": way.guidance, "preview": False}
        made = denoise(way.model, sd.noise(2), words, unwanted, **given)
        assert torch.equal(each.image.pixels, decode(sd.model, made.latent).pixels)
        assert each.report.branches == made.report.branches
        assert each.report.counts == made.report.counts
    assert [each.plain for each in found.each] == [True, False]


def test_a_few_at_a_time_are_the_same_pictures(sd: Studio) -> None:
    """Also where each has a prompt of its own, and the guidance has conditions of its own."""
    words = encode_prompts(sd.model, Prompts(("a red circle", "a ring", "two bars")))
    others = encode_prompts(sd.model, Prompts(("a circle", "a blue ring", "a bar")))
    nested = a_method(sd, "nested", guidance=multi_condition((others,), [3.0]))
    whole, parts = (measured(sd, nested, images=3, positive=words, at_once=count) for count in (0, 2))
    assert torch.allclose(parts.each[0].image.pixels, whole.each[0].image.pixels, atol=1e-4)
    assert (whole.each[0].report.runs, parts.each[0].report.runs) == (1, 2)
    assert parts.each[0].report.calls == 2 * whole.each[0].report.calls
    assert flops(parts.each[0]) == flops(whole.each[0])
    assert len(parts.each[0].report.seconds) == STEPS


def test_the_counted_limit_of_adaptive_guidance_is_its_formula(sd: Studio) -> None:
    """2 N / (N + k), where k of N steps are guided."""
    found = measured(sd, a_method(sd), a_method(sd, "AG", guidance=adaptive_guidance(cfg(5), -1)))
    base, adaptive = found.each
    assert adaptive.report.branches[0] == Branch("negative", 1, STEPS - 1)
    assert flops(base) / flops(adaptive) == 2 * STEPS / (STEPS + 1)


def test_the_counted_limit_of_deepcache_is_its_formula(sd: Studio) -> None:
    """S / (n + (S - n) r): what one interval says r is, holds for the others."""
    cached = sweep((a_method(sd, "DeepCache", model=deepcache(sd.model, 1)),), "interval", [1, 2, 3, 6])
    base, always, *found = (flops(each) for each in measured(sd, a_method(sd), cached).each)
    assert always == base
    limits = {interval: base / each for interval, each in zip((2, 3, 6), found, strict=True)}
    full = {interval: -(-STEPS // interval) for interval in limits}
    share = (STEPS / limits[6] - full[6]) / (STEPS - full[6])
    assert 0 < share < 1
    for interval, limit in limits.items():
        assert limit == pytest.approx(STEPS / (full[interval] + (STEPS - full[interval]) * share), rel=1e-12)


def test_without_a_negative_prompt_encoding_the_empty_one_is_not_counted(sd: Studio) -> None:
    words = encode_prompt(sd.model, PROMPT)
    empty = encode_prompt(sd.model, "")
    without, given = (
        measure((a_method(sd),), sd.noise(), words, unwanted, rounds=1, equal_time=False) for unwanted in (None, empty)
    )
    assert flops(without.each[0]) == flops(given.each[0])
    assert torch.equal(without.each[0].image.pixels, given.each[0].image.pixels)


# ---------------------------------------------------------------- turns, times and plain runs


class Clock:
    """Stands for runs: each step takes 0.1 s, of a model with patches a quarter; what all share takes 0.2 s."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, drift: float = 0.0) -> None:
        self.ran: list[tuple[str, int, bool]] = []
        self.drift = drift
        monkeypatch.setattr(measuring, "run", self.run)
        monkeypatch.setattr(measuring, "use", self.use)

    def run(self, model: Any, task: Any, *given: Any, count_flops: bool, progress: Progress) -> tuple[Latent, Report]:
        progress.step(1, 1)
        steps, patched = given[2].steps, bool(model.patches)
        self.ran.append(("cached" if patched else "plain", steps, count_flops))
        slower = 1 + self.drift * len(self.ran)
        each = (0.025 if patched else 0.1) * slower
        branches = (Branch("positive", steps, 0),)
        report = Report(steps, steps, branches, (), (each,) * steps, 0.2 * slower + each * steps, flops=steps)
        return Latent(task.noise.samples), report

    def use(self, model: Any, progress: Progress) -> Any:
        clock = self

        class Parts:
            family = property(lambda self: self)

            def decode(self, parts: Any, samples: torch.Tensor) -> torch.Tensor:
                return samples[:, :3]

            def __enter__(self) -> Any:
                return self

            def __exit__(self, *_: object) -> None:
                assert clock.ran

        return Parts()


def test_rounds_begin_with_another_method_each(sd: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    methods = sweep((a_method(sd),), "steps", [1, 2, 3])
    measured(sd, methods, rounds=2, warm_up=2)
    assert clock.ran == [
        *[("plain", steps, counted) for steps in (1, 2, 3) for counted in (True, False)],
        *[("plain", steps, False) for steps in (1, 2, 3, 2, 3, 1)],
    ]


def test_the_median_counts(sd: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch, drift=1.0)
    (found,) = measured(sd, a_method(sd), rounds=3).each
    assert found.seconds == found.report.total_seconds == pytest.approx(0.8 * 4)  # of runs 2, 3 and 4: the third
    assert found.report.seconds == pytest.approx([0.4] * STEPS)


def test_beside_a_method_stands_the_plain_run_that_takes_its_time(sd: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """12 cached steps take 0.2 + 0.3 s, as 3 plain ones do; 20 take 0.7 s, as 5 do."""
    clock = Clock(monkeypatch)
    cached = sweep((a_method(sd, "cached", model=deepcache(sd.model, 2)),), "steps", [12, 20])
    found = measured(sd, a_method(sd, schedule=schedule(12)), cached, equal_time=True)
    base, short, long, *plains = found.each
    assert (short.rival, long.rival) == ("plain, 3 steps", "plain, 5 steps")
    assert [each.name for each in plains] == ["plain, 3 steps", "plain, 5 steps"]
    assert [each.seconds for each in plains] == pytest.approx([short.seconds, long.seconds])
    assert [each.plain for each in found.each] == [True, False, False, True, True]
    assert base.rival == plains[0].rival == ""
    assert ("plain", 3, True) in clock.ran


def test_a_plain_run_that_is_there_is_not_made_again(sd: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    cached = a_method(sd, "cached", model=deepcache(sd.model, 2), schedule=schedule(12))
    found = measured(sd, sweep((a_method(sd),), "steps", [12, 3]), cached, equal_time=True)
    assert [each.name for each in found.each] == ["plain, 12 steps", "plain, 3 steps", "cached"]
    assert found.each[2].rival == "plain, 3 steps"
    assert len(clock.ran) == 6


def test_a_machine_that_slows_down_does_not_favour_the_first(sd: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured later is set in relation to the baseline, measured again beside it."""
    Clock(monkeypatch, drift=0.05)
    cached = a_method(sd, "cached", model=deepcache(sd.model, 2), schedule=schedule(12))
    found = measured(sd, a_method(sd, schedule=schedule(12)), cached, equal_time=True, rounds=4)
    base, _, rival = found.each
    assert rival.name == "plain, 3 steps"
    assert rival.seconds / base.seconds == pytest.approx(0.5 / 1.4, rel=0.02)


def test_the_baseline_can_be_named(sd: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    both = (a_method(sd, "a"), a_method(sd, "b", model=deepcache(sd.model, 2)))
    assert [each.name for each in measured(sd, *both, baseline="b").each] == ["b", "a"]
    with pytest.raises(NodeError, match=r"baseline 'bb' is none of 'a', 'b'. Did you mean 'b'\?"):
        measured(sd, *both, baseline="bb")


def test_every_run_is_told_and_stops_when_asked(sd: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    told: list[tuple[int, int]] = []

    def listen(done: int, total: int, label: str, preview: Any) -> None:
        told.append((done, total))

    cached = a_method(sd, "cached", model=deepcache(sd.model, 2))
    measured(sd, a_method(sd), cached, rounds=2, equal_time=True, progress=Progress(listen))
    assert told == [*((done, 6) for done in range(1, 7)), *((done, 12) for done in range(7, 13))]

    def cancelled(*_: Any) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        measured(sd, a_method(sd), progress=Progress(cancelled))


def test_what_a_step_takes_gives_the_number_of_steps() -> None:
    report = Report(10, 10, (), (), (0.1,) * 10, 1.5)
    base = Measured("plain", "plain", Image(torch.zeros(1, 3, 1, 1)), report, 1.5)
    assert [as_long(base, seconds) for seconds in (1.5, 0.9, 0.84, 0.1, 3.0, 1e9)] == [10, 4, 3, 1, 25, 1000]
    assert [as_long(base, lasting(base, steps)) for steps in (1, 4, 25)] == [1, 4, 25]


def test_the_baseline_with_other_steps_is_plain(sd: Studio) -> None:
    (base,), (other,) = a_method(sd).each, a_method(sd, "b", guidance=cfg(4)).each
    assert is_plain(base, base)
    assert is_plain(plain(base, 3), base)
    assert not is_plain(other, base)
    explicit = replace(base, schedule=schedule(timesteps=(900, 100)))
    assert is_plain(explicit, explicit)
    assert plain(explicit, 5).schedule == schedule(5)


def test_runs_of_several_pictures_add_up() -> None:
    one = Report(2, 3, (Branch("positive", 2, 1),), (("skipped", 1),), (0.1, 0.2), 0.5, memory=7, flops=10)
    two = Report(2, 2, (Branch("negative", 1, 0), Branch("positive", 2, 0)), (), (0.3, 0.1), 0.6, memory=5, flops=20)
    both = together([one, two])
    assert both.branches == (Branch("positive", 4, 1), Branch("negative", 1, 0))
    assert (both.passes, both.counts, both.memory, both.flops, both.runs) == (5, (("skipped", 1),), 7, 30, 2)
    assert both.seconds == pytest.approx((0.4, 0.3))
    assert both.total_seconds == pytest.approx(1.1)


# ---------------------------------------------------------------- what does not fit together


def test_names_must_differ(sd: Studio) -> None:
    with pytest.raises(NodeError, match="'plain' is used twice"):
        measured(sd, a_method(sd), a_method(sd))


def test_there_must_be_a_method(sd: Studio) -> None:
    with pytest.raises(NodeError, match="wire one or more"):
        measured(sd)


def test_prompts_and_noises_must_agree(sd: Studio) -> None:
    words = encode_prompts(sd.model, Prompts(("a", "b")))
    with pytest.raises(NodeError, match="positive has 2 prompts for 3 noises"):
        measured(sd, a_method(sd), images=3, positive=words)
