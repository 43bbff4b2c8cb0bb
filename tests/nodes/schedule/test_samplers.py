from __future__ import annotations

import inspect
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from latentloom.graph.node import NodeError
from latentloom.nodes.schedule.sampler import sampler
from latentloom.nodes.schedule.samplers import SAMPLERS, Name, Shaping, Spacing, build
from latentloom.nodes.schedule.schedule import schedule
from latentloom.nodes.schedule.solver import Solver
from latentloom.nodes.types import Noise, Sampler, Schedule

CPU = torch.device("cpu")
NOISE = Noise(torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0)), (3, 4))


@pytest.fixture(params=["tiny_sd", "tiny_sdxl"])
def config(request: pytest.FixtureRequest) -> dict[str, Any]:
    folder: Path = request.getfixturevalue(request.param)
    return json.loads((folder / "scheduler" / "scheduler_config.json").read_text("utf-8"))


def zero_snr(config: dict[str, Any]) -> dict[str, Any]:
    changes = {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction", "timestep_spacing": "trailing"}
    return config | changes | {"_class_name": "DDIMScheduler"}


def test_the_names_are_the_table() -> None:
    assert get_args(Name) == tuple(SAMPLERS)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_schedule_is_followed_or_refused_with_a_sentence(
    config: dict[str, Any], name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Also in a single step; and nothing is ignored with a warning on the way."""
    spaced = [(spacing, "model") for spacing in get_args(Spacing)]
    shaped = [("model", shaping) for shaping in get_args(Shaping)]
    for (spacing, shaping), steps in itertools.product(spaced + shaped, (1, 3)):
        for one in (config, zero_snr(config)):
            try:
                scheduler = build(one, Sampler(name), Schedule(steps, spacing, shaping))
            except NodeError as refused:
                assert str(refused).endswith(".")
                assert name in str(refused)
                continue
            solver = Solver(scheduler, Sampler(name), NOISE, CPU)
            solver.begin(0)
            sample = solver.pure(NOISE.samples)
            for step in solver.steps:
                sample = solver.advance(0.1 * solver.scale(sample, step), step, sample)
            assert sample.isfinite().all(), (spacing, shaping, steps)
            if spacing != "model":
                assert scheduler.config.timestep_spacing == spacing
            if shaping not in ("model", "none"):
                assert scheduler.config[f"use_{shaping}_sigmas"] is True
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("lcm", {"spacing": "leading"}, "Sampler lcm has a spacing of its own and takes only 'model', not 'leading'."),
        ("ddim", {"shaping": "karras"}, "Sampler ddim cannot shape noise levels 'karras'; it takes model, none."),
        ("euler_ancestral", {"timesteps": (9, 5)}, "takes no list of timesteps; euler, heun, ddpm, .* do."),
        ("dpmpp_2m", {"timesteps": (1000, 5)}, "Timestep 1000 is above 999"),
        ("lcm", {"steps": 51}, "Sampler lcm cannot follow a schedule of 51 steps: .*50"),
        ("ddim", {"steps": 1001}, "Sampler ddim cannot follow a schedule of 1001 steps: .*1000"),
    ],
)
def test_refusals_name_what_is_taken(config: dict[str, Any], name: str, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(NodeError, match=sentence):
        build(config, Sampler(name), replace(Schedule(2), **options))


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("shaping", ["model", "karras"])
def test_a_step_knows_the_noise_in_the_sample(config: dict[str, Any], name: str, shaping: Any) -> None:
    """What the scheduler adds to a picture before a step is what `Step.sigma` says, as the network sees it."""
    if shaping == "karras" and "use_karras_sigmas" not in _keys(config, name):
        return
    picture = torch.ones_like(NOISE.samples)
    count = len(build(config, Sampler(name), Schedule(6, shaping=shaping)).timesteps)
    for index in range(0, count, 2 if name in ("heun", "dpmpp_sde") else 1):
        solver = Solver(build(config, Sampler(name), Schedule(6, shaping=shaping)), Sampler(name), NOISE, CPU)
        solver.begin(index)
        step = solver.steps[index]
        seen = solver.scale(solver.noised(picture, NOISE.samples, index), step)
        expected = (picture + step.sigma * NOISE.samples) / (1 + step.sigma**2) ** 0.5
        assert torch.allclose(seen, expected, atol=2e-3), (index, step.sigma)


@pytest.mark.parametrize("name", SAMPLERS)
def test_no_sampler_forgets_that_the_last_step_has_no_signal(config: dict[str, Any], name: str) -> None:
    """Zero-terminal schedules, also for schedulers that have no key for it (https://arxiv.org/abs/2305.08891)."""
    kept = build(zero_snr(config), Sampler(name), Schedule(5)).alphas_cumprod
    assert kept[-1] <= 2**-23
    reference = build(zero_snr(config), Sampler("euler"), Schedule(5)).alphas_cumprod
    assert torch.allclose(kept, reference, rtol=1e-3, atol=1e-6)


def test_latents_are_clipped_only_where_the_model_says_so(config: dict[str, Any]) -> None:
    silent = {key: value for key, value in config.items() if key != "clip_sample"}
    assert build(silent, Sampler("ddim"), Schedule(5)).config.clip_sample is False
    assert build(config | {"clip_sample": True}, Sampler("ddim"), Schedule(5)).config.clip_sample is True


def test_the_models_own_scheduler(config: dict[str, Any]) -> None:
    own = build(config, None, Schedule(5))
    assert type(own).__name__ == config["_class_name"]


def test_the_models_own_scheduler_refuses_as_one_chosen(config: dict[str, Any]) -> None:
    with pytest.raises(NodeError, match="Sampler LCMScheduler, the model's own, has a spacing of its own"):
        build(config | {"_class_name": "LCMScheduler"}, None, Schedule(5, "trailing"))


@pytest.mark.parametrize("name", ["StableDiffusionPipeline", "os", "NoSuchScheduler"])
def test_only_schedulers_are_made(config: dict[str, Any], name: str) -> None:
    with pytest.raises(NodeError, match=f"The model's scheduler '{name}' is none that diffusers has"):
        build(config | {"_class_name": name}, None, Schedule(5))


def test_eta_is_for_those_who_have_it() -> None:
    assert sampler("ddim", 0.5) == Sampler("ddim", (("eta", 0.5),))
    assert sampler("euler") == Sampler("euler")
    with pytest.raises(NodeError, match="Sampler euler has no eta; ddim and tcd have"):
        sampler("euler", 0.5)


def test_timesteps_say_all() -> None:
    assert schedule(25, timesteps=(900, 500, 100)) == Schedule(3, timesteps=(900, 500, 100))
    with pytest.raises(NodeError, match=r"leave spacing and shaping at model.*fall from noise to picture"):
        schedule(spacing="trailing", timesteps=(100, 500))


def _keys(config: dict[str, Any], name: str) -> set[str]:
    return set(inspect.signature(type(build(config, Sampler(name), Schedule(6)))).parameters)
