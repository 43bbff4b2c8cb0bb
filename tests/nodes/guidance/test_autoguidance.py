from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import hooking
import pytest
import torch
from diffusers import LayerSkipConfig, StableDiffusionPipeline
from diffusers.guiders import AutoGuidance
from inside import TOTAL, alive, facts, step
from studio import Studio, open_studio
from tiny import build_sd

from latentloom.graph.node import NodeError
from latentloom.nodes.cache.deepcache import deepcache
from latentloom.nodes.cache.first_block_cache import first_block_cache
from latentloom.nodes.guidance.autoguidance import autoguidance
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.models import live
from latentloom.nodes.prompt.encode_prompt import encode_prompt

STEPS = 5
EVALUATIONS = STEPS + 1  # PNDM takes its first step twice


@pytest.fixture(scope="module")
def weak(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """The same kind of model with other weights."""
    folder = build_sd(tmp_path_factory.mktemp("models") / "weak-sd")
    pipeline = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        for parameter in pipeline.unet.parameters():
            parameter.mul_(0.8)
    pipeline.save_pretrained(folder)
    return open_studio(folder)


def test_it_moves_away_from_the_weak_model(sd: Studio, weak: Studio) -> None:
    """A run written by hand: e = e_0 + w (e_1 - e_0), both of the positive prompt."""
    with torch.inference_mode(), live.use(sd.model) as parts, live.use(weak.model) as others:
        from latentloom.nodes.schedule.samplers import build
        from latentloom.nodes.schedule.schedule import schedule

        noise, told = sd.noise(2).samples, encode_prompt(sd.model, "a red circle")
        networks = [each.family.predictor(each, noise.shape) for each in (parts, others)]
        scheduler = build(parts.scheduler_config, None, schedule(STEPS))
        sample = noise * scheduler.init_noise_sigma
        for timestep in scheduler.timesteps:
            (good,), (bad,) = (network(sample, timestep, (told,)) for network in networks)
            sample = scheduler.step(bad + 2.5 * (good - bad), timestep, sample, return_dict=False)[0]
    found, notes = hooking.sampled(sd, sd.model, guidance=autoguidance(weak.model, 2.5), steps=STEPS)
    assert torch.allclose(found.samples, sample, rtol=0, atol=1e-4)
    assert notes["network_calls"] == notes["network_passes"] == 2 * EVALUATIONS


def test_the_weak_model_may_be_cached_by_itself(sd: Studio, weak: Studio) -> None:
    guidance = autoguidance(deepcache(weak.model, 3), 2.5)
    _, notes = hooking.sampled(sd, sd.model, guidance=guidance, steps=STEPS)
    assert notes["network_calls"] == 2 * EVALUATIONS
    assert notes["deep_levels_skipped"] == EVALUATIONS - 2


@pytest.mark.parametrize(("start", "stop"), [(0.0, 1.0), (0.25, 0.75)])
def test_the_calls_of_both_count(sd: Studio, weak: Studio, start: float, stop: float) -> None:
    total = 8 + 1
    guided = int(stop * total) - int(start * total)
    _, notes = hooking.sampled(sd, sd.model, guidance=autoguidance(weak.model, 2.5, [], start, stop), steps=8)
    assert notes["network_calls"] == total + guided


@pytest.mark.parametrize(
    ("name", "fqn"), [("sd", "mid_block.attentions.0.transformer_blocks"), ("pixart", "transformer_blocks")]
)
def test_without_one_an_evaluation_is_what_diffusers_gives(name: str, fqn: str, request: pytest.FixtureRequest) -> None:
    """Its guider with its own hooks: the negative prompt, with layers left out."""
    guider = AutoGuidance(3.0, auto_guidance_config=LayerSkipConfig([0], fqn))
    with alive(request.getfixturevalue(name)) as model:
        found = model.guided(autoguidance(scale=3.0, layers=[] if name == "sd" else [0]))
        assert torch.allclose(found, model.by_guider(guider), rtol=0, atol=1e-5)
        assert sum(len(asked) for asked in model.asked) == 2


def test_it_works_on_every_kind(kind: Studio) -> None:
    with alive(kind) as model:
        before = facts(model.denoiser)
        found = model.guided(autoguidance(scale=3.0))
        assert facts(model.denoiser) == before
        assert not torch.allclose(found, model.guided(cfg(3.0)), atol=1e-3)


def test_a_scale_of_one_asks_only_the_positive(kind: Studio, weak: Studio) -> None:
    with alive(kind) as model:
        for guidance in (autoguidance(scale=1.0), autoguidance(weak.model, 1.0)):
            assert torch.equal(model.guided(guidance), model.guided(cfg(1.0)))
        assert [len(asked) for asked in model.asked] == [1] * 4


def test_outside_of_its_share_it_asks_only_the_positive(sd: Studio) -> None:
    with alive(sd) as model:
        guide = autoguidance(scale=3.0, start=0.2, stop=0.5).begin(model.conditions())
        for index in range(TOTAL):
            guide(model.predict, model.sample, step(index))
        assert sum(len(asked) for asked in model.asked) == TOTAL + 3


def test_a_network_that_guides_itself_keeps_it(flux: Studio) -> None:
    def run(told: float | None) -> tuple[Any, dict]:
        return hooking.sampled(flux, flux.model, guidance=autoguidance(scale=2.0), distilled_guidance=told, steps=3)

    usual = live_scale(flux)
    assert torch.equal(run(None)[0].samples, run(usual)[0].samples)
    assert run(None)[1]["network_calls"] == 6


def live_scale(studio: Studio) -> float:
    with live.use(studio.model) as parts:
        return parts.description.guidance


# ---------------------------------------------------------------- where it cannot


def test_a_model_of_another_family(sd: Studio, sdxl: Studio) -> None:
    with pytest.raises(NodeError, match="is of the family sdxl, and the model it is to guide of sd"):
        hooking.sampled(sd, sd.model, guidance=autoguidance(sdxl.model), steps=2)


def test_a_model_that_predicts_something_else(sd: Studio, tmp_path: Path) -> None:
    other = open_studio(build_sd(tmp_path / "velocity-sd", prediction_type="v_prediction"))
    with pytest.raises(NodeError, match="predicts v_prediction, and the model it is to guide epsilon"):
        hooking.sampled(sd, sd.model, guidance=autoguidance(other.model), steps=2)


def test_layers_are_for_the_form_without_a_weak_model(sd: Studio) -> None:
    with pytest.raises(NodeError, match="The weak model is worse by itself"):
        autoguidance(sd.model, layers=[1])


def test_a_cache_that_needs_the_layers_says_so(flux: Studio) -> None:
    with pytest.raises(NodeError, match="Autoguidance leaves out the first or the last block"):
        hooking.sampled(flux, first_block_cache(flux.model), guidance=autoguidance(layers=[0]), steps=2)


def test_the_recipe_keeps_its_models_apart(sd: Studio) -> None:
    weaker = replace(sd.model, fingerprint="other")
    assert autoguidance(sd.model) != autoguidance(weaker)
    assert hash(autoguidance(sd.model)) == hash(autoguidance(sd.model))
