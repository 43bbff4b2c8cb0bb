"""A picture is the same alone and beside others, whatever the sampler, guidance and caches are."""

# pyright: reportArgumentType=false, reportCallIssue=false

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from adapters import as_diffusers, factors, layers, opened, write

from latentloom.graph.files import Files
from latentloom.graph.node import declaration
from latentloom.graph.progress import QUIET, Progress
from latentloom.nodes.cache.deepcache import deepcache
from latentloom.nodes.cache.faster_diffusion import faster_diffusion
from latentloom.nodes.cache.token_merging import token_merging
from latentloom.nodes.catalog import NODES
from latentloom.nodes.guidance.adaptive_guidance import adaptive_guidance
from latentloom.nodes.guidance.apg import apg
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.guidance.cfg_zero_star import cfg_zero_star
from latentloom.nodes.guidance.guidance_interval import guidance_interval
from latentloom.nodes.guidance.scheduled_cfg import scheduled_cfg
from latentloom.nodes.guidance.tangential_cfg import tangential_cfg
from latentloom.nodes.load.load_model import load_model
from latentloom.nodes.lora.apply_lora import apply_lora
from latentloom.nodes.noise.empty_latent import empty_latent
from latentloom.nodes.noise.gaussian_noise import gaussian_noise
from latentloom.nodes.prompt.encode_prompt import encode_prompt
from latentloom.nodes.sample.denoise import denoise
from latentloom.nodes.schedule.sampler import sampler
from latentloom.nodes.schedule.schedule import schedule
from latentloom.nodes.types import Guidance, Latent, Mask, Model, Patch

CLOSE = 1e-4
TOGETHER = declaration(denoise).together


@pytest.fixture(scope="module")
def model(tiny_sd) -> Model:
    return load_model(tiny_sd.name, files=Files({"models": [tiny_sd.parent]}))


def call(model: Model, number: int, images: int = 1, **given: Any) -> dict[str, Any]:
    """What `denoise` is called with for row `number`."""
    arguments = dict.fromkeys(("negative", "sampler", "guidance", "latent", "mask", "distilled_guidance"))
    settings = {"strength": 1.0, "start_step": 0, "end_step": 0, "preview": True, "count_flops": False}
    return {
        **arguments,
        **settings,
        "model": model,
        "noise": gaussian_noise(empty_latent(model, batch=images), seed=10 * number),
        "positive": encode_prompt(model, ("a red circle", "a blue square", "a green bar")[number % 3]),
        "schedule": schedule(steps=3),
        "progress": QUIET,
        **given,
    }


def alike(calls: list[dict[str, Any]]) -> bool:
    assert TOGETHER is not None
    kinds = {TOGETHER.alike(each) for each in calls}
    return len(kinds) == 1 and kinds != {None}


def difference(calls: list[dict[str, Any]]) -> float:
    """The largest between pictures made together and alone."""
    assert TOGETHER is not None
    assert alike(calls)
    made = TOGETHER.call(calls)
    assert len(made) == len(calls)
    alone = [denoise(**each) for each in calls]
    assert [len(each.latent.samples) for each in made] == [len(each["noise"].samples) for each in calls]
    pairs = zip(made, alone, strict=True)
    return max((a.latent.samples - b.latent.samples).abs().max().item() for a, b in pairs)


@pytest.mark.parametrize("name", ["euler_ancestral", "dpmpp_2m"])
def test_samplers(model, name):
    assert difference([call(model, number, sampler=sampler(name)) for number in range(2)]) < CLOSE


GUIDANCES = {
    "cfg": lambda: cfg(5.0, 0.7),
    "scheduled": lambda: scheduled_cfg([(0.0, 1.0), (1.0, 7.5)]),
    "interval": lambda: guidance_interval(cfg(6.0), 0.28, 5.0),
    "zero star": lambda: cfg_zero_star(5.0, 1),
    "apg": lambda: apg(),
    "tangential": lambda: tangential_cfg(5.0),
}


@pytest.mark.parametrize("name", GUIDANCES)
def test_guidances(model, name):
    negative = encode_prompt(model, "a blur")
    calls = [call(model, number, guidance=GUIDANCES[name](), negative=negative) for number in range(2)]
    assert difference(calls) < CLOSE


@pytest.mark.parametrize("patched", [lambda model: deepcache(model, 2), lambda model: faster_diffusion(model)])
def test_caches(model, patched):
    assert difference([call(patched(model), number) for number in range(2)]) < CLOSE


@pytest.mark.parametrize("way", ["fuse", "beside"])
def test_loras(model, way, tmp_path):
    lora = opened(model, write(tmp_path, as_diffusers(factors(layers(model)))))
    patched = apply_lora(model, lora, curve=[(0.0, 0.2), (1.0, 0.8)], way=way)
    assert difference([call(patched, number) for number in range(2)]) < CLOSE


def test_what_looks_at_the_whole_batch_stays_alone(model):
    guided = call(model, 0, guidance=adaptive_guidance(cfg(5.0)))
    nested = call(model, 0, guidance=guidance_interval(adaptive_guidance(cfg(5.0))))
    merged = call(token_merging(model), 0)
    counted = call(model, 0, count_flops=True)
    assert TOGETHER is not None
    assert [TOGETHER.alike(each) for each in (guided, nested, merged, counted)] == [None] * 4


def test_every_recipe_that_says_it_looks_at_each_picture_alone_is_one_that_is_tried():
    for module in NODES.values():
        importlib.import_module(f"latentloom.nodes.{module}")
    said = {recipe.__name__ for recipe in recipes(Guidance, Patch) if recipe.by_picture}
    made = {type(make()).__name__ for make in GUIDANCES.values()}
    assert made | {"AppliedLora", "DeepCache", "FasterDiffusion"} == said


def recipes(*kinds: type) -> Iterator[type]:
    """All that ship of these kinds."""
    for kind in kinds:
        for each in kind.__subclasses__():
            if each.__module__.startswith("latentloom."):
                yield each
            yield from recipes(each)


def test_several_pictures_a_row_and_prompts_of_their_own(model):
    negatives = [encode_prompt(model, text) for text in ("a blur", "noise")]
    calls = [call(model, number, images=1 + number, negative=negatives[number]) for number in range(2)]
    assert difference(calls) < CLOSE


def test_from_pictures_under_masks(model):
    latents = [Latent(torch.randn(1, 4, *call(model, 0)["noise"].samples.shape[-2:])) for _ in range(2)]
    height, width = (8 * side for side in latents[0].samples.shape[-2:])
    masks = [Mask((torch.rand(1, 1, height, width) > 0.5).float()) for _ in range(2)]
    given = [{"latent": latents[n], "mask": masks[n], "strength": 0.8} for n in range(2)]
    assert difference([call(model, number, **given[number]) for number in range(2)]) < CLOSE
    shared = {"latent": latents[0], "strength": 0.8}
    assert difference([call(model, number, **shared) for number in range(2)]) < CLOSE


def test_other_shapes_and_settings_do_not_go_together(model):
    long = encode_prompt(model, "word " * 100)
    wide = gaussian_noise(empty_latent(model, width=2 * 8 * call(model, 0)["noise"].samples.shape[-1]), 1)
    for other in ({"positive": long}, {"noise": wide}, {"schedule": schedule(steps=5)}, {"negative": long}):
        assert not alike([call(model, 0), call(model, 1, **other)])
    assert not alike([call(model, 0), call(replace(model, fingerprint="other"), 1)])


def test_the_report_tells_each_its_share(model):
    noted: list[dict[str, Any]] = [{}, {}]
    calls = [call(model, n, progress=Progress(None, noted[n].update)) for n in range(2)]
    assert TOGETHER is not None
    first, second = TOGETHER.call(calls)
    assert first.report == second.report
    assert first.report.calls == denoise(**calls[0]).report.calls
    assert noted[0]["together"] == noted[1]["together"] == 2
