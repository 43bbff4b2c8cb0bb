from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from studio import Studio
from torch import Tensor

from latentloom.graph.node import NodeError
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.models.family import Flow
from latentloom.nodes.schedule.inject_noise import inject_noise
from latentloom.nodes.schedule.sampler import sampler
from latentloom.nodes.schedule.samplers import build
from latentloom.nodes.schedule.schedule import schedule
from latentloom.nodes.schedule.solver import drive
from latentloom.nodes.types import Noise, Sampler

NOISE = Noise(torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0)), (3, 4))
CONFIG = {
    "_class_name": "DDIMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "timestep_spacing": "trailing",
    "clip_sample": False,
}
STRAIGHT = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}


def solved(chosen: Sampler, steps: int = 10, flow: Flow | None = None) -> list[Tensor]:
    """The sample after each evaluation of a run whose network answers 0.3 x + 0.1."""
    config = STRAIGHT if flow else CONFIG
    solver = drive(build(config, chosen, schedule(steps), flow), chosen, NOISE, torch.device("cpu"), flow)
    solver.begin(0)
    samples = [solver.pure(NOISE.samples)]
    for step in solver.steps:
        samples.append(solver.advance(0.3 * solver.scale(samples[-1], step) + 0.1, step, samples[-1]))
    return samples[1:]


@pytest.mark.parametrize("name", ["ddim", "euler", "dpmpp_2m", "lms", "heun", "dpmpp_sde"])
def test_a_strength_of_zero_changes_nothing(name: Any) -> None:
    plain = sampler(name)
    assert inject_noise(plain, 0.0, 0.9) == plain
    assert torch.equal(solved(inject_noise(plain, 0.0))[-1], solved(plain)[-1])


@pytest.mark.parametrize("name", ["ddim", "euler", "dpmpp_2m"])
def test_it_is_a_hand_written_loop(name: Any) -> None:
    """After each step from below half of the timesteps; the last sample is of unit variance for all of them."""
    chosen, plain = inject_noise(sampler(name), 0.05, 0.5), sampler(name)
    scheduler: Any = build(CONFIG, plain, schedule(10))
    sample = NOISE.samples * scheduler.init_noise_sigma
    injected = 0
    for index, timestep in enumerate(scheduler.timesteps):
        given = scheduler.scale_model_input(sample, timestep)
        sample = scheduler.step(0.3 * given + 0.1, timestep, sample, return_dict=False)[0]
        if timestep / 1000 < 0.5:
            injected += 1
            spread = (1 + scheduler.sigmas[index + 1] ** 2) ** 0.5 if name == "euler" else 1.0
            sample = sample + 0.05 * spread * NOISE.samples
    assert injected == 5
    found = solved(chosen)[-1]
    assert torch.allclose(found, sample, atol=1e-5)
    assert not torch.allclose(found, solved(plain)[-1], atol=1e-2)


def test_it_is_as_strong_in_samplers_of_either_scale() -> None:
    """Euler takes DDIM's steps in another scale, and with the noise in it still does."""
    runs = [solved(inject_noise(sampler(name), 0.05, 1.0), 50)[-1] for name in ("ddim", "euler")]
    plain = solved(sampler("ddim"), 50)[-1]
    assert (runs[0] - runs[1]).abs().max() < 0.02 * (runs[0] - plain).abs().max()


def test_on_a_straight_path() -> None:
    flow = Flow()
    found = solved(inject_noise(sampler("euler"), 0.05, 0.8), flow=flow)[-1]
    scheduler: Any = build(STRAIGHT, sampler("euler"), schedule(10), flow)
    sample, times = NOISE.samples, scheduler.sigmas.tolist()
    for now, then in pairwise(times):
        sample = sample + (then - now) * (0.3 * sample + 0.1)
        if now < 0.8:
            sample = sample + 0.05 * ((1 - then) ** 2 + then**2) ** 0.5 * NOISE.samples
    assert torch.allclose(found, sample, atol=1e-5)


def test_half_steps_are_left_alone() -> None:
    """Heun evaluates twice a step, and goes on from what it kept in the first half."""
    plain, noisy = solved(sampler("heun"), 4), solved(inject_noise(sampler("heun"), 0.05, 1.0), 4)
    assert torch.equal(noisy[0], plain[0])
    assert not torch.equal(noisy[1], plain[1])


@pytest.mark.parametrize("name", ["unipc", "dpmpp_2s"])
def test_samplers_that_would_lose_it_are_refused(name: Any) -> None:
    with pytest.raises(NodeError, match=f"{name} goes on from samples it keeps itself"):
        inject_noise(sampler(name))
    assert inject_noise(sampler(name), 0.0) == sampler(name)


@pytest.mark.parametrize("family", ["sd", "sd3"])
def test_two_runs_make_one(request: pytest.FixtureRequest, family: str) -> None:
    studio: Studio = request.getfixturevalue(family)
    given: dict[str, Any] = {"schedule": schedule(6), "guidance": cfg(3), "preview": False}
    noisy = {"sampler": inject_noise(sampler("euler"), 0.1), **given}
    whole = studio.sample(2, **noisy)
    rest = studio.sample(2, latent=studio.sample(2, end_step=5, **noisy), start_step=5, **noisy)
    assert (rest.samples - whole.samples).abs().max() <= 1e-4 * whole.samples.abs().max()
    assert not torch.allclose(whole.samples, studio.sample(2, sampler=sampler("euler"), **given).samples, atol=1e-2)
