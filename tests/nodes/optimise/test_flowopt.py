"""The descent converges where theory says so, and what the node gives is what a run makes of its noise."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from studio import PROMPT, Studio
from torch import Tensor

from latentloom.graph.node import NodeError
from latentloom.graph.progress import Progress
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.guidance.guide import Step
from latentloom.nodes.optimise.flowopt import Edited, flowopt
from latentloom.nodes.optimise.inversion import Path
from latentloom.nodes.optimise.zero_order import descend
from latentloom.nodes.prompt.encode_prompt import encode_prompt
from latentloom.nodes.sample.denoise import denoise
from latentloom.nodes.schedule.sampler import sampler
from latentloom.nodes.schedule.schedule import schedule
from latentloom.nodes.types import Latent

GENERATOR = torch.Generator().manual_seed(0)
START, WANTED = (torch.randn(2, 4, 2, 2, generator=GENERATOR, dtype=torch.float64) for _ in range(2))
BASIS = torch.linalg.qr(torch.randn(16, 16, generator=GENERATOR, dtype=torch.float64)).Q
LARGEST = 3.0
LINEAR = BASIS @ torch.diag(torch.linspace(0.5, LARGEST, 16, dtype=torch.float64)) @ BASIS.T


def linear(sample: Tensor) -> Tensor:
    return (sample.flatten(1) @ LINEAR).view_as(sample)


# ---------------------------------------------------------------- the descent


def test_a_linear_run_is_inverted_below_the_bound_and_not_above() -> None:
    bound = 2 / LARGEST
    *_, below = descend(linear, WANTED, START, 400, 0.95 * bound)
    assert below.residual.max() < 1e-10
    torch.testing.assert_close(below.sample.flatten(1), WANTED.flatten(1) @ torch.linalg.inv(LINEAR))
    first, *_, above = descend(linear, WANTED, START, 400, 1.05 * bound)
    assert above.residual.min() > 100 * first.residual.max()


def test_an_exact_inversion_stays() -> None:
    exact = (WANTED.flatten(1) @ torch.linalg.inv(LINEAR)).view_as(WANTED)
    for iterate in descend(linear, WANTED, exact, 3, 0.1):
        torch.testing.assert_close(iterate.sample, exact)


@pytest.mark.parametrize(("iterations", "rate"), [(0, 0.5), (4, 0.0)])
def test_without_iterations_or_rate_it_stays_where_it_begins(iterations: int, rate: float) -> None:
    iterates = list(descend(linear, WANTED, START, iterations, rate))
    assert len(iterates) == iterations + 1
    assert all(torch.equal(iterate.sample, START) for iterate in iterates)


# ---------------------------------------------------------------- the inversion it begins from


def levels(*times: float) -> list[Step]:
    return [
        Step(n, len(times), torch.tensor(1000 * time), time / (1 - time) if time < 1 else math.inf, "flow")
        for n, time in enumerate(times)
    ]


def test_a_constant_velocity_is_followed_exactly_with_a_call_a_step_and_one() -> None:
    asked: list[float] = []
    way = Path(WANTED, levels(1.0, 0.6, 0.3))

    def velocity(sample: Tensor, timestep: Tensor) -> Tensor:
        asked.append(float(timestep))
        return START - WANTED

    torch.testing.assert_close(way.up(velocity), START)
    assert asked == pytest.approx([0, 300, 600, 1000])


def test_a_step_uses_the_velocity_where_it_arrives() -> None:
    """Of v = x one step is, by the formula, x + t (x + t x)."""
    found = Path(WANTED, levels(0.5)).up(lambda sample, _: sample)
    torch.testing.assert_close(found, WANTED * (1 + 0.5 * 1.5))


def test_the_noise_leads_to_the_sample() -> None:
    way = Path(WANTED, levels(0.6, 0.3))
    torch.testing.assert_close(0.4 * WANTED + 0.6 * way.noise(START), START)


# ---------------------------------------------------------------- the node


def edited(studio: Studio, latent: Latent | None = None, **options: Any) -> Edited:
    given = {"schedule": schedule(4), "guidance": cfg(1), "start_step": 1, "iterations": 3, "eta": 0.3, **options}
    prompt = given.pop("prompt", PROMPT)
    return flowopt(studio.model, latent or picture(studio), encode_prompt(studio.model, prompt), **given)


def picture(studio: Studio, pictures: int = 1) -> Latent:
    generator = torch.Generator().manual_seed(8)
    return Latent(torch.randn(studio.noise(pictures).samples.shape, generator=generator))


@pytest.mark.parametrize("family", ["sd3", "flux"])
@pytest.mark.parametrize("start_step", [0, 2])
def test_denoise_makes_the_same_of_the_noise(family: str, start_step: int, request: pytest.FixtureRequest) -> None:
    studio: Studio = request.getfixturevalue(family)
    latent = picture(studio)
    found = edited(studio, latent, start_step=start_step)
    positive = encode_prompt(studio.model, PROMPT)
    again = denoise(
        studio.model, found.noise, positive, schedule=schedule(4), guidance=cfg(1), latent=latent, start_step=start_step
    ).latent
    torch.testing.assert_close(again.samples, found.latent.samples)
    assert found.latent.sigma == 0


def test_iterates_come_closer_and_the_best_is_kept_on_demand(sd3: Studio) -> None:
    latent = picture(sd3, 2)
    found = edited(sd3, latent, keep="best", iterations=6, start_step=0)
    assert [len(series.y) for series in found.figure.series] == [7, 7]
    for number, series in enumerate(found.figure.series):
        missing = (found.latent.samples[number] - latent.samples[number]).square().mean().sqrt().item()
        assert missing == pytest.approx(min(series.y), rel=1e-5)
        assert min(series.y) < series.y[0]


def test_the_last_iterate_is_kept_to_edit(sd3: Studio) -> None:
    found = edited(sd3, picture(sd3, 2), prompt="a blue square", source=encode_prompt(sd3.model, PROMPT))
    assert len(found.iterates.samples) == 2 * 4
    assert torch.equal(found.latent.samples, found.iterates.samples[-2:])


def test_pictures_are_what_they_are_alone(sd3: Studio) -> None:
    latent = picture(sd3, 2)
    both, second = edited(sd3, latent), edited(sd3, Latent(latent.samples[1:].clone()))
    torch.testing.assert_close(both.latent.samples[1:], second.latent.samples, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("guidance", "branches"), [(cfg(1), 1), (cfg(3), 2)])
def test_calls_are_those_of_the_formula(sd3: Studio, guidance: Any, branches: int) -> None:
    notes: dict[str, Any] = {}
    told: list[tuple[int, int]] = []
    progress = Progress(lambda done, total, *_: told.append((done, total)), notes.update)
    found = edited(sd3, guidance=guidance, progress=progress)
    steps, iterations = 4 - 1, 3
    assert notes["network_calls"] == (iterations + 1) * steps * branches + steps + 1
    assert [row[2] for row in found.table.rows] == [steps + 1 + steps * branches * n for n in (1, 2, 3, 4)]
    assert told[-4:] == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_eta_zero_repeats_the_run_from_the_inversion(sd3: Studio) -> None:
    found = edited(sd3, eta=0.0)
    assert all(torch.equal(each, found.iterates.samples[0]) for each in found.iterates.samples)
    assert torch.equal(found.noise.samples, edited(sd3, iterations=0).noise.samples)


def test_what_it_is_not_for_is_refused(sd: Studio, sd3: Studio) -> None:
    with pytest.raises(NodeError, match="models whose path is straight"):
        edited(sd, sampler=sampler("euler"))
    with pytest.raises(NodeError, match="needs a finished one"):
        edited(sd3, Latent(picture(sd3).samples, sigma=1.0))
    with pytest.raises(NodeError, match="start_step 4 is behind the 4 steps"):
        edited(sd3, start_step=4)
