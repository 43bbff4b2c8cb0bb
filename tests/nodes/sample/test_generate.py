"""Runs for what is fitted and searched are the runs a person makes."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import torch
from studio import NEGATIVE, PROMPT, Studio

from latentloom.graph.node import NodeError
from latentloom.graph.progress import QUIET, Cancelled, Progress
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.prompt.encode_prompt import encode_prompt
from latentloom.nodes.prompt.encode_prompts import encode_prompts
from latentloom.nodes.sample.generate import Job, generate, pictures
from latentloom.nodes.schedule.sampler import sampler
from latentloom.nodes.schedule.schedule import schedule
from latentloom.nodes.types import Prompts


def job(studio: Studio, batch: int = 2) -> Job:
    positive, negative = (encode_prompt(studio.model, text) for text in (PROMPT, NEGATIVE))
    return Job(studio.model, studio.noise(batch), positive, negative, sampler("euler_ancestral"), cfg(3))


@pytest.mark.parametrize("studio_name", ["sd", "sd3", "flux"])
def test_pictures_are_those_of_denoise_and_decode(studio_name: str, request: pytest.FixtureRequest) -> None:
    studio: Studio = request.getfixturevalue(studio_name)
    solver = sampler("euler_ancestral" if studio_name == "sd" else "euler")
    positive, negative = (encode_prompt(studio.model, text) for text in (PROMPT, NEGATIVE))
    made = Job(studio.model, studio.noise(2), positive, negative, solver, cfg(3))
    expected = studio.ours(2, negative=NEGATIVE, sampler=solver, guidance=cfg(3), schedule=schedule(4))
    assert torch.equal(pictures(made, schedule(4), QUIET), expected)


def test_what_is_split_is_the_same_pictures(sd: Studio) -> None:
    whole = job(sd, 3)
    prompts = encode_prompts(sd.model, Prompts(("a red circle", "a blue square", "a ring")))
    whole = Job(sd.model, whole.noise, prompts, whole.negative, whole.sampler, whole.guidance)
    parts = list(whole.split(2))
    assert [len(part.positive.tokens) for part in parts] == [2, 1]
    apart = torch.cat([pictures(part, schedule(3), QUIET) for part in parts])
    assert torch.allclose(apart, pictures(whole, schedule(3), QUIET), rtol=0, atol=1e-5)


def test_what_the_run_tells_is_kept_from_the_person(sd: Studio) -> None:
    notes, told = {}, []
    generate(job(sd), schedule(3), Progress(lambda *step: told.append(step), told.append), notes)
    assert notes["network_calls"] == 2 * 3
    assert not told


def test_prompts_that_are_not_as_many_as_pictures_are_refused(sd: Studio) -> None:
    prompts = encode_prompts(sd.model, Prompts(("a", "b")))
    with pytest.raises(NodeError, match="positive has 2 prompts for 3 noises"):
        Job(sd.model, sd.noise(3), prompts, None, None, None)


def test_a_run_can_be_cancelled(sd: Studio) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        generate(job(sd), schedule(3), Progress(cancel=cancel))


def test_gradients_flow_to_a_noise_that_asks_for_them(sd: Studio) -> None:
    """The slope along a direction is that of a small step either way."""
    made = job(sd, 1)
    direction = torch.randn(made.noise.samples.shape, generator=torch.Generator().manual_seed(5))

    def mean(samples: torch.Tensor) -> torch.Tensor:
        noise = replace(made.noise, samples=samples)
        return generate(replace(made, noise=noise), schedule(2), QUIET).samples.double().square().mean()

    asking = made.noise.samples.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(mean(asking), [asking])
    ahead, behind = (mean(made.noise.samples + share * direction) for share in (1e-2, -1e-2))
    assert not ahead.requires_grad
    slope = (ahead - behind).item() / 2e-2
    assert (gradient * direction).sum().item() == pytest.approx(slope, rel=0.02, abs=1e-5)
    with torch.no_grad():
        assert not mean(asking).requires_grad
