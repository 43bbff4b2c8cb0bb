"""Guidances that evaluate a branch in a pass of its own, together with what keeps tensors from step to step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import hooking
import pytest
import torch
from hooking import STEPS
from inside import alive, step
from studio import Studio
from torch import Tensor

from latentloom.nodes.cache.deepcache import deepcache
from latentloom.nodes.cache.faster_diffusion import faster_diffusion
from latentloom.nodes.cache.first_block_cache import first_block_cache
from latentloom.nodes.cache.mag_cache import mag_cache
from latentloom.nodes.cache.pyramid_attention import pyramid_attention
from latentloom.nodes.cache.taylorseer import taylorseer
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.guidance.nag import nag
from latentloom.nodes.guidance.pag import pag
from latentloom.nodes.guidance.perturbed import Perturbed
from latentloom.nodes.guidance.seg import seg
from latentloom.nodes.guidance.slg import slg
from latentloom.nodes.models.call import Call, under_way
from latentloom.nodes.types import Guidance, Model

RATIOS = [0.99] * 10


def first_block(model: Model) -> Model:
    return first_block_cache(model, 0.2)


def magnitude(model: Model) -> Model:
    return mag_cache(model, RATIOS, 0.2, 3, 0.1)


def attention(model: Model) -> Model:
    return pyramid_attention(model, 2, 3, 0, 1000)


def parallel(model: Model) -> Model:
    return faster_diffusion(model, "uniform", 3, parallel=True)


CACHES: list[tuple[str, Callable[[Model], Model]]] = [
    ("sd", lambda model: deepcache(model, 3)),
    ("sd", lambda model: faster_diffusion(model, "uniform", 3)),
    ("sd", parallel),
    ("sd3", lambda model: taylorseer(model, 3, 1, 2)),
    ("sd3", magnitude),
    ("sd3", attention),
    ("flux", lambda model: taylorseer(model, 3, 1, 2)),
    ("sd3", first_block),
    ("flux", first_block),
    ("pixart", attention),
]
NAMES = [f"{name}-{number}" for number, (name, _) in enumerate(CACHES)]
PERTURBED = [pag(4.0, 2.0), seg(4.0, 2.0, 1.0)]


def answers(studio: Studio, guidance: Perturbed, plain: bool, perturbed: bool) -> dict[str, list[Tensor]]:
    """What the network of `studio` says at each step of a run over samples that are given, of the plain branches, of
    the perturbed one, or of both."""
    generator = torch.Generator().manual_seed(5)
    found: dict[str, list[Tensor]] = {"plain": [], "perturbed": []}
    counts: Counter[str] = Counter()
    with alive(studio) as model:
        steps, worse = [step(index) for index in range(STEPS)], replace(model.positive)
        perturbation = guidance.perturbation(model.denoiser)

        def ask(at: int, sample: Tensor, branches: tuple[Any, ...]) -> Tensor:
            with under_way(Call(steps, at, branches, counts)):
                return torch.cat(model.network(sample, steps[at].timestep, branches))

        sample = model.sample
        for at in range(STEPS):
            sample = sample + 0.1 * torch.randn(sample.shape, generator=generator)
            if plain:
                found["plain"].append(ask(at, sample, (model.negative, model.positive)))
            if perturbed:
                with perturbation(sample):
                    found["perturbed"].append(ask(at, sample, (worse,)))
    return found


@pytest.mark.parametrize("guidance", PERTURBED, ids=["pag", "seg"])
@pytest.mark.parametrize(("name", "cached"), CACHES, ids=NAMES)
def test_the_passes_of_a_step_do_not_know_of_each_other(
    name: str, cached: Callable[[Model], Model], guidance: Perturbed, request: pytest.FixtureRequest
) -> None:
    plain_studio = request.getfixturevalue(name)
    studio = replace(plain_studio, model=cached(plain_studio.model))
    together = answers(studio, guidance, True, True)
    for which in ("plain", "perturbed"):
        alone = answers(studio, guidance, which == "plain", which == "perturbed")[which]
        assert all(torch.equal(a, b) for a, b in zip(together[which], alone, strict=True))
        exact = answers(plain_studio, guidance, which == "plain", which == "perturbed")[which]
        assert not all(torch.allclose(a, b, atol=1e-4) for a, b in zip(together[which], exact, strict=True))


@pytest.mark.parametrize("guidance", [*PERTURBED, slg(4.0, 2.0, start=0, stop=1)], ids=["pag", "seg", "slg"])
def test_deepcache_saves_in_both_passes(sd: Studio, guidance: Guidance) -> None:
    evaluations = STEPS + 1  # PNDM takes its first step twice
    _, notes = hooking.sampled(sd, deepcache(sd.model, 3), guidance=guidance)
    assert notes["network_calls"] == 3 * evaluations
    assert notes["deep_levels_skipped"] == 2 * (evaluations - -(-evaluations // 3))


def test_faster_diffusion_saves_in_both_passes(sd: Studio) -> None:
    evaluations = STEPS + 1
    serial, notes = hooking.sampled(sd, faster_diffusion(sd.model, "uniform", 3), guidance=pag(4.0, 2.0))
    saved = 2 * (evaluations - -(-evaluations // 3))
    assert notes["encoder_passes_skipped"] == saved
    ahead, notes = hooking.sampled(sd, parallel(sd.model), guidance=pag(4.0, 2.0))
    assert notes["encoder_passes_skipped"] == saved
    assert torch.allclose(ahead.samples, serial.samples, rtol=0, atol=1e-3)


def test_taylorseer_saves_in_both_passes(sd3: Studio) -> None:
    """Of the tiny transformer's five modules two are in the block that is left out, which nobody counts as saved."""
    full = 2 + -(-(STEPS - 2 - 1) // 3)
    _, notes = hooking.sampled(sd3, taylorseer(sd3.model, 3, 1, 2), guidance=slg(4.0, 2.0, [1], 0, 1))
    assert notes["modules_computed"] == full * (5 + 3)
    assert notes["modules_predicted"] == (STEPS - full) * (5 + 3)


def test_a_pass_that_begins_later_begins_with_what_is_its_own(sd: Studio) -> None:
    """The perturbed branch first asked at a step that skips runs everything, and only it."""
    evaluations = STEPS + 1
    _, notes = hooking.sampled(sd, deepcache(sd.model, 3), guidance=slg(4.0, 2.0, start=0.01, stop=1))
    inside = evaluations - 1  # steps 1 to 10; 1 runs everything, and 3, 6 and 9
    assert notes["network_calls"] == 2 * evaluations + inside
    assert notes["deep_levels_skipped"] == (evaluations - 4) + (inside - 4)


@pytest.mark.parametrize("around", [None, cfg(4.0)], ids=["alone", "cfg"])
@pytest.mark.parametrize(("name", "cached"), CACHES, ids=NAMES)
def test_a_negative_inside_of_attention_goes_with_caches(
    name: str, cached: Callable[[Model], Model], around: Guidance | None, request: pytest.FixtureRequest
) -> None:
    studio = request.getfixturevalue(name)
    found, notes = hooking.sampled(studio, cached(studio.model), guidance=nag(around))
    exact, plain_notes = hooking.sampled(studio, studio.model, guidance=nag(around))
    assert torch.isfinite(found.samples).all()
    assert not torch.allclose(found.samples, exact.samples, atol=1e-4)
    assert notes["network_calls"] == plain_notes["network_calls"]
    with alive(studio) as model:
        assert not any("forward" in vars(module) for module in model.denoiser.modules())
