"""Straight paths: where sigma stands on them, and which samplers follow them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from latentloom.graph.node import NodeError
from latentloom.nodes.guidance.guide import Step
from latentloom.nodes.models.family import Flow
from latentloom.nodes.schedule.flow import FLOW_SAMPLERS
from latentloom.nodes.schedule.sampler import sampler
from latentloom.nodes.schedule.samplers import SAMPLERS, build
from latentloom.nodes.schedule.schedule import schedule
from latentloom.nodes.schedule.solver import FlowSolver, drive
from latentloom.nodes.types import Noise, Sampler

CPU = torch.device("cpu")
CONFIG: dict[str, Any] = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}
NOISE = Noise(torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0)), (3, 4))
PICTURE = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))


def solver(name: Any = "euler", steps: int = 5, flow: Flow | None = None, config: Any = CONFIG) -> FlowSolver:
    flow, chosen = flow or Flow(), Sampler(name)
    made = drive(build(config, chosen, schedule(steps), flow), chosen, NOISE, CPU, flow)
    assert isinstance(made, FlowSolver)
    return made


@pytest.mark.parametrize("name", FLOW_SAMPLERS)
def test_noise_levels_lie_on_the_path(name: Any) -> None:
    made = solver(name)
    for step in made.steps:
        time = step.time
        assert time == pytest.approx(step.timestep.item() / 1000, abs=1e-3)  # some schedulers round to whole timesteps
        there = made.noised(PICTURE, NOISE.samples, step.index)
        assert torch.allclose(there, (1 - time) * PICTURE + time * NOISE.samples, atol=1e-6)
        assert torch.allclose(step.denoised(there, NOISE.samples - PICTURE), PICTURE, atol=1e-5)
    assert [step.sigma for step in made.steps] == sorted((step.sigma for step in made.steps), reverse=True)


@pytest.mark.parametrize("name", FLOW_SAMPLERS)
def test_the_path_ends_at_the_picture(name: Any) -> None:
    """A network that points exactly at the picture from everywhere is followed there."""
    made = solver(name, steps=6)
    sample = made.noised(PICTURE, NOISE.samples, 0) if name in ("dpmpp_2m_sde", "lcm") else made.pure(NOISE.samples)
    made.begin(0)
    for step in made.steps:
        time = max(step.time, 1e-6)
        sample = made.advance((sample - PICTURE) / time, step, sample)
    assert (sample - PICTURE).abs().max() < 1e-3


def test_a_latent_holds_what_a_diffusion_model_would() -> None:
    made = solver()
    step = made.steps[2]
    there = made.noised(PICTURE, NOISE.samples, 2)
    kept = made.kept(there, step)
    variance_kept = (PICTURE + step.sigma * NOISE.samples) / math.sqrt(1 + step.sigma**2)
    assert torch.allclose(kept, variance_kept, atol=1e-6)
    assert torch.allclose(made.resumed(kept, 2), there, atol=1e-6)


def test_pure_noise_is_at_infinity() -> None:
    made = solver()
    first = made.steps[0]
    assert first.sigma == math.inf and first.time == 1
    assert torch.equal(made.pure(NOISE.samples), NOISE.samples)
    assert torch.allclose(first.denoised(NOISE.samples, NOISE.samples - PICTURE), PICTURE, atol=1e-6)


@pytest.mark.parametrize("name", ["heun", "dpmpp_2m", "unipc"])
@pytest.mark.parametrize("kind", ["exponential", "linear"])
def test_every_sampler_shifts_by_the_size(name: Any, kind: str) -> None:
    """The factor that times are shifted by is the same for schedulers that do not know a shift by size."""
    config = {**CONFIG, "use_dynamic_shifting": True, "time_shift_type": kind}
    flow = Flow(mu=1.2)
    made = build(config, Sampler(name), schedule(5), flow)
    still = build({**CONFIG, "shift": 1.2 if kind == "linear" else math.exp(1.2)}, Sampler(name), schedule(5), Flow())
    assert torch.allclose(made.sigmas, still.sigmas)
    assert not torch.allclose(made.sigmas, build(CONFIG, Sampler(name), schedule(5), Flow()).sigmas)


def test_times_spaced_evenly_before_they_are_shifted() -> None:
    made = build(CONFIG, None, schedule(4), Flow(even=True))
    plain = torch.tensor([1.0, 0.75, 0.5, 0.25])
    assert torch.allclose(made.sigmas[:-1], 3 * plain / (1 + 2 * plain))


@pytest.mark.parametrize("name", sorted(set(SAMPLERS) - set(FLOW_SAMPLERS)))
def test_other_samplers_are_refused_with_those_that_are_taken(name: Any) -> None:
    with pytest.raises(NodeError, match=f"Sampler {name} is for diffusion models.*it takes euler, heun, dpmpp_2m"):
        build(CONFIG, Sampler(name), schedule(5), Flow())


def test_a_model_whose_own_scheduler_diffuses_needs_a_sampler() -> None:
    config = {"_class_name": "DDIMScheduler"}
    with pytest.raises(NodeError, match="DDIMScheduler, the model's own, is for diffusion models"):
        build(config, None, schedule(5), Flow())
    assert type(build(config, Sampler("euler"), schedule(5), Flow())).__name__ == "FlowMatchEulerDiscreteScheduler"


@pytest.mark.parametrize(
    ("name", "chosen", "told"),
    [
        ("euler", schedule(5, "trailing"), "Flow models have a spacing of their own"),
        (
            "heun",
            schedule(5, shaping="karras"),
            "cannot shape the noise levels of a flow model 'karras'; euler and lcm",
        ),
        ("unipc", schedule(timesteps=(900, 100)), "takes no list of timesteps for a flow model; euler and lcm do"),
        ("euler", schedule(timesteps=(1001, 100)), "Timestep 1001 is above 1000"),
    ],
)
def test_what_a_sampler_cannot_follow_is_told(name: Any, chosen: Any, told: str) -> None:
    with pytest.raises(NodeError, match=told):
        build(CONFIG, Sampler(name), chosen, Flow())


def test_a_strength_is_counted_as_the_stock_pipelines_do() -> None:
    made = solver()
    assert [made.skipped(5, strength) for strength in (1.0, 0.6, 0.3, 0.1, 0.0)] == [0, 2, 3, 4, 5]


def test_eta_stays_with_the_samplers_that_have_it() -> None:
    assert "ddim" not in FLOW_SAMPLERS and sampler("ddim", 0.5).options == (("eta", 0.5),)


def test_a_straight_step_names_its_time() -> None:
    assert Step(0, 1, torch.tensor(500.0), 1.0, "flow").time == 0.5
