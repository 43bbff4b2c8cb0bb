"""One method in several settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from latentloom.graph.node import NodeError
from latentloom.nodes.cache.deepcache import DeepCache, deepcache
from latentloom.nodes.cache.token_merging import token_merging
from latentloom.nodes.evaluate.method import method
from latentloom.nodes.evaluate.sweep import sweep
from latentloom.nodes.guidance.adaptive_guidance import Adaptive, adaptive_guidance
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.guidance.classifier_free import ClassifierFree
from latentloom.nodes.guidance.guidance_interval import guidance_interval
from latentloom.nodes.schedule.sampler import sampler
from latentloom.nodes.schedule.schedule import schedule
from latentloom.nodes.types import Method, Methods, Model, Patch, Sampler, Schedule

MODEL = Model("/m", "sd")


@dataclass(frozen=True)
class Other(Patch):
    """A patch as other packages write them."""

    ratio: float = 0.1


def one(**changes: Any) -> Methods:
    usual = {"model": MODEL, "schedule": schedule(25), "guidance": cfg(5), "name": "plain"}
    return method(**{**usual, **changes})


def swept(methods: Methods, setting: str, values: list[Any]) -> tuple[Method, ...]:
    return sweep((methods,), setting, values).each


def test_each_value_is_a_method_named_after_it() -> None:
    found = swept(one(), "steps", [10, 1])
    assert [each.schedule for each in found] == [Schedule(10), Schedule(1)]
    assert [each.name for each in found] == ["plain, 10 steps", "plain, 1 step"]
    assert {each.group for each in found} == {"plain"}
    (before,) = one().each
    assert all(replace(each, name=before.name, schedule=before.schedule) == before for each in found)


def test_each_method_is_swept() -> None:
    both = sweep((one(), one(name="other")), "steps", [5, 6])
    assert [each.name for each in both.each] == [
        *("plain, 5 steps", "plain, 6 steps"),
        *("other, 5 steps", "other, 6 steps"),
    ]


def test_sweeps_follow_one_another() -> None:
    found = sweep(
        (
            sweep(
                (
                    one(
                        model=deepcache(MODEL, 3),
                    ),
                ),
                "interval",
                [2],
            ),
        ),
        "deepcache.branch",
        [1],
    ).each
    assert [each.name for each in found] == ["plain, interval 2, branch 1"]
    assert found[0].model.patches == (DeepCache(2, 1),)


@pytest.mark.parametrize("setting", ["deepcache.interval", "deep_cache.interval", "interval"])
def test_a_patch_is_named_by_its_node_or_its_class(setting: str) -> None:
    model = token_merging(deepcache(MODEL, 3, branch=1), 0.25)
    found = swept(one(model=model), setting, [2, 5])
    assert [each.model.patches for each in found] == [
        (DeepCache(2, 1), model.patches[1]),
        (DeepCache(5, 1), model.patches[1]),
    ]


@pytest.mark.parametrize(
    ("setting", "value", "guidance"),
    [
        ("guidance.scale", 3, Adaptive(ClassifierFree(3.0), 0.9)),
        ("scale", 3.5, Adaptive(ClassifierFree(3.5), 0.9)),
        ("cfg.scale", 2.0, Adaptive(ClassifierFree(2.0), 0.9)),
        ("guidance.threshold", 0.5, Adaptive(ClassifierFree(5.0), 0.5)),
        ("adaptive_guidance.threshold", 0.5, Adaptive(ClassifierFree(5.0), 0.5)),
        ("adaptive.space", "prediction", Adaptive(ClassifierFree(5.0), 0.9, "prediction")),
    ],
)
def test_guidances_inside_of_each_other(setting: str, value: Any, guidance: Any) -> None:
    (found,) = swept(one(guidance=adaptive_guidance(cfg(5), 0.9)), setting, [value])
    assert found.guidance == guidance


def test_the_sampler_and_its_options() -> None:
    ddim = one(sampler=sampler("ddim", eta=0.5))
    assert [each.sampler for each in swept(ddim, "sampler.eta", [0, 1])] == [
        Sampler("ddim", (("eta", 0.0),)),
        Sampler("ddim", (("eta", 1.0),)),
    ]
    assert [each.sampler for each in swept(ddim, "sampler.name", ["tcd", "euler"])] == [
        Sampler("tcd", (("eta", 0.5),)),
        Sampler("euler"),
    ]
    assert [each.sampler for each in swept(one(), "sampler.name", ["heun"])] == [Sampler("heun")]


def test_timesteps_given_one_by_one_give_way_to_a_number() -> None:
    (found,) = swept(one(schedule=schedule(timesteps=(900, 500, 100))), "steps", [7])
    assert found.schedule == Schedule(7)


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("deepcache.intervall", 2, r"plain has no deepcache.intervall to sweep. Did you mean deepcache.interval\?"),
        ("guidance.strength", 2, r"It has schedule.steps, .*sampler.name, guidance.low, .*guidance.scale, .*deepcache"),
        ("deepcache.interval", 0, "deepcache.interval of plain cannot be 0: .*greater than or equal to 1"),
        ("steps", "many", "steps of plain cannot be 'many': .*integer"),
        ("guidance.low", "x", "guidance.low of plain cannot be 'x': it should be a float"),
        ("sampler.name", "eular", "sampler.name of plain cannot be 'eular'"),
        ("schedule.spacing", "dense", "'model'"),
    ],
)
def test_what_cannot_be_swept_is_told(setting: str, value: Any, sentence: str) -> None:
    methods = one(model=deepcache(MODEL, 3), guidance=guidance_interval(cfg(5)))
    with pytest.raises(NodeError, match=sentence):
        swept(methods, setting, [value])


def test_a_name_of_two_settings_asks_which() -> None:
    merged = token_merging(MODEL, 0.25)
    methods = one(model=replace(merged, patches=(*merged.patches, Other())))
    with pytest.raises(NodeError, match=r"ratio of plain is one of token_merging.ratio, .*test_sweep.ratio; say which"):
        swept(methods, "ratio", [0.5])
    (found,) = swept(methods, "other.ratio", [0.5])
    assert found.model.patches == (*merged.patches, Other(0.5))


def test_nothing_to_sweep_is_told() -> None:
    with pytest.raises(NodeError, match="wire one or more"):
        sweep(())
