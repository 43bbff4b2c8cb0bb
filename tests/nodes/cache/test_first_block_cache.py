from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers.hooks import FirstBlockCacheConfig, apply_first_block_cache
from hooking import STEPS, by_hand, module_facts, ours, sampled, stock
from studio import Studio

from latentloom.graph.node import NodeError
from latentloom.nodes.cache.first_block_cache import FAMILIES, first_block_cache
from latentloom.nodes.cache.taylorseer import taylorseer
from latentloom.nodes.guidance.adaptive_guidance import adaptive_guidance
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.models import live
from latentloom.nodes.types import Latent

BLOCKS = {"sd3": 2, "flux": 3, "pixart": 2}
SOME = 0.25
"""A threshold under which the tiny transformers leave some steps out."""


@pytest.fixture(params=FAMILIES)
def studio(request: pytest.FixtureRequest) -> Studio:
    return request.getfixturevalue(request.param)


def apply(transformer: Any, config: FirstBlockCacheConfig) -> None:
    """diffusers' hook, which fails where the last block gives None for the prompt."""
    last = transformer.transformer_blocks[-1]
    if getattr(last, "context_pre_only", False):
        block = last.forward
        last.forward = lambda **given: (given["encoder_hidden_states"], block(**given)[1])
    apply_first_block_cache(transformer, config)


@pytest.mark.parametrize("threshold", [0.1, SOME])
def test_it_is_diffusers_hook_in_the_stock_pipeline(studio: Studio, threshold: float) -> None:
    """One branch for Flux, whose stock pipeline decides for each branch by itself."""
    guided, config = studio.model.family != "flux", FirstBlockCacheConfig(threshold)
    with by_hand(studio, lambda transformer: apply(transformer, config)):
        expected = stock(studio, guided=guided)
    options = {} if guided else {"guidance": cfg(1), "negative": None}
    found, notes = ours(studio, first_block_cache(studio.model, threshold), **options)
    assert (found - expected).abs().max() <= 1e-4
    if threshold == SOME:
        skipped = notes["blocks_skipped"]
        assert 0 < skipped < STEPS * BLOCKS[studio.model.family]
        assert skipped % (BLOCKS[studio.model.family] - 1) == 0, "all but the first, or none"
        assert (found - ours(studio, studio.model, **options)[0]).abs().max() > 1e-3


def test_a_threshold_of_zero_changes_nothing(studio: Studio) -> None:
    cached, notes = sampled(studio, first_block_cache(studio.model, 0.0))
    assert torch.equal(cached.samples, sampled(studio, studio.model)[0].samples)
    assert (notes["blocks_computed"], notes["blocks_skipped"]) == (STEPS * BLOCKS[studio.model.family], 0)


def test_an_endless_threshold_runs_the_first_block_alone(studio: Studio) -> None:
    _, notes = sampled(studio, first_block_cache(studio.model, 10.0))
    assert notes["blocks_computed"] == BLOCKS[studio.model.family] + STEPS - 1


def test_a_run_from_a_picture_leaves_nothing_for_the_next(studio: Studio) -> None:
    cached = first_block_cache(studio.model, SOME)
    with live.use(cached):  # attached throughout
        alone, notes = sampled(studio, cached)
        sampled(studio, cached, latent=Latent(alone.samples), strength=0.5)
        again, same = sampled(studio, cached)
    assert torch.equal(again.samples, alone.samples)
    assert same["blocks_skipped"] == notes["blocks_skipped"]


def test_it_leaves_the_transformer_as_it_was(studio: Studio) -> None:
    before = module_facts(studio)
    sampled(studio, first_block_cache(studio.model))
    assert module_facts(studio) == before


def test_an_error_leaves_the_transformer_as_it_was(studio: Studio) -> None:
    before, cached = module_facts(studio), first_block_cache(studio.model)
    with pytest.raises(RuntimeError, match="stop"), live.use(cached) as parts:
        assert {"forward", "_diffusers_hook"} <= vars(parts.denoiser.transformer_blocks[-1]).keys()
        sampled(studio, cached, steps=2)
        raise RuntimeError("stop")
    assert module_facts(studio) == before


def test_together_with_guidance_that_stops(studio: Studio) -> None:
    """What was kept of both branches goes on for the one that stays."""
    _, notes = sampled(studio, first_block_cache(studio.model, 10.0), guidance=adaptive_guidance(cfg(3), -1.0))
    assert notes["network_calls"] == STEPS + 1
    assert notes["blocks_computed"] == BLOCKS[studio.model.family] + STEPS - 1


def test_what_it_does_not_work_on_is_refused(sd: Studio, flux: Studio) -> None:
    with pytest.raises(NodeError, match="works on models of the families sd3 and flux and pixart; this one is of sd,"):
        first_block_cache(sd.model)
    with pytest.raises(NodeError, match="deepcache and faster_diffusion are for those"):
        first_block_cache(sd.model)
    with pytest.raises(NodeError, match="First-Block Cache and TaylorSeer both decide"):
        first_block_cache(taylorseer(flux.model))
