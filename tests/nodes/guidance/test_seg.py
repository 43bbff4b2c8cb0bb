from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers.guiders import SmoothedEnergyGuidance
from diffusers.hooks.smoothed_energy_guidance_utils import _gaussian_blur_2d
from inside import alive, step
from studio import Studio

from latentloom.graph.node import NodeError
from latentloom.nodes.cache.token_merging import token_merging
from latentloom.nodes.guidance.seg import grid, kernel, seg, smooth, smoothed
from latentloom.nodes.models.attentions import blocks
from latentloom.nodes.schedule.schedule import schedule


@pytest.mark.parametrize("sigma", [0.5, 1.0, 3.0, 20.0])
@pytest.mark.parametrize("side", [4, 7, 8])
def test_the_blur_is_diffusers_gaussian(sigma: float, side: int) -> None:
    """Its function takes sigma above a threshold for what is blurred, so the threshold here is 0."""
    query = torch.randn(2, side * side, 6)
    wide = math.ceil(6 * sigma)
    theirs = _gaussian_blur_2d(query.clone(), wide + 1 - wide % 2, sigma, 0.0)
    ours = smooth(query.unflatten(1, (side, side)).movedim(3, 1), sigma).movedim(1, 3).flatten(1, 2)
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-5)


def test_without_limit_all_queries_are_their_mean() -> None:
    query = torch.randn(2, 6, 5, 7)
    assert torch.equal(smooth(query, 1e4), query.mean((-2, -1), keepdim=True).expand_as(query))


def test_a_little_blur_is_hardly_any_and_more_is_more() -> None:
    query = torch.randn(1, 3, 8, 12)
    away = [float((smooth(query, sigma) - query).norm()) for sigma in (0.05, 0.3, 0.6, 1.0, 2.0)]
    assert away == sorted(away)
    assert away[0] < 1e-6


def test_a_kernel_is_odd_sums_to_one_and_fits() -> None:
    for sigma in (0.3, 1.0, 2.5, 40.0):
        for room in (1, 2, 5, 8):
            weights = kernel(sigma, room)
            assert len(weights) % 2 == 1
            assert len(weights) // 2 < room
            assert torch.allclose(weights.sum(), torch.tensor(1.0))


def test_the_rows_are_those_of_the_picture() -> None:
    assert grid(64, (8, 8)) == (8, 8)
    assert grid(24, (4, 6)) == (4, 6)
    assert grid(6, (4, 6)) == (2, 3)
    assert grid(18, (5, 12)) == (3, 6)  # an odd side is rounded up on the way down
    assert grid(6 + 20, (4, 6), prompted=True) == (2, 3)
    with pytest.raises(NodeError, match="whose rows it cannot tell"):
        grid(23, (4, 6))


def test_a_blurred_token_moves_its_neighbours_and_not_the_prompt(flux: Studio) -> None:
    """In Flux's single blocks the prompt stands before the picture."""
    with alive(flux) as model:
        single: Any = blocks(model.denoiser)[1]
        tokens = torch.randn(1, 20 + 16, 32)
        plain = single.attn.to_q(tokens)
        with smoothed([single], 1.0, (8, 8)):
            blurred = single.attn.to_q(tokens)
        assert torch.equal(blurred[:, :20], plain[:, :20])
        expected = smooth(plain[:, 20:].unflatten(1, (4, 4)).movedim(3, 1), 1.0).movedim(1, 3).flatten(1, 2)
        assert torch.equal(blurred[:, 20:], expected)


@pytest.mark.parametrize("scale", [4.0, 1.0])
def test_it_is_combined_as_diffusers_combines(sd: Studio, scale: float) -> None:
    """Its guider, given what our layers make of the network: its own hook is never put on."""
    guidance: Any = seg(scale, 3.0, 1.5)
    with alive(sd) as model:
        negative, positive = model.plain()
        with guidance.perturbation(model.denoiser)(model.sample):
            (worse,) = model.network(model.sample, step(3).timestep, (model.positive,))
        guider: Any = SmoothedEnergyGuidance(scale, 3.0 if scale != 1 else 4.0, seg_guidance_layers=[0])
        guider.set_state(3, 10, step(3).timestep)
        theirs = guider.forward(positive, negative if scale != 1 else None, worse).pred
        assert torch.allclose(model.guided(guidance), theirs, rtol=0, atol=1e-5)


def test_pictures_that_are_not_square(kind: Studio) -> None:
    noise = kind.noise(1, size=(32, 48))
    told = {"distilled_guidance": 3.0} if kind.model.family == "flux" else {}
    given = {"noise": noise, "schedule": schedule(3), "preview": False, **told}
    blurred = kind.sample(guidance=seg(4.0, 3.0, 1.0), **given).samples
    assert blurred.shape == noise.samples.shape
    assert not torch.allclose(blurred, kind.sample(guidance=seg(4.0, 0.0), **given).samples, atol=1e-3)


def test_merged_tokens_have_no_rows(sd: Studio) -> None:
    merged = replace(sd, model=token_merging(sd.model, 0.5))
    with pytest.raises(NodeError, match="where tokens are merged, choose layers that keep all"):
        merged.sample(guidance=seg(4.0, 3.0, layers=[0]), schedule=schedule(3), preview=False)
    merged.sample(guidance=seg(4.0, 3.0), schedule=schedule(3), preview=False)  # in the middle none are
