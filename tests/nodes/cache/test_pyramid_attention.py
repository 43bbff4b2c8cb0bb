from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers.hooks import PyramidAttentionBroadcastConfig, apply_pyramid_attention_broadcast
from hooking import STEPS, by_hand, module_facts, ours, sampled, stock
from studio import Studio

from latentloom.graph.node import NodeError
from latentloom.nodes.cache.pyramid_attention import FAMILIES, pyramid_attention
from latentloom.nodes.guidance.adaptive_guidance import adaptive_guidance
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.models import live
from latentloom.nodes.types import Latent

SELF = {"sd3": 2, "flux": 3, "pixart": 2}
CROSS = {"sd3": 0, "flux": 0, "pixart": 2}


@pytest.fixture(params=FAMILIES)
def studio(request: pytest.FixtureRequest) -> Studio:
    return request.getfixturevalue(request.param)


def kept(timesteps: list[float], interval: int, low: int = 100, high: int = 800) -> int:
    return sum(at % interval > 0 and low < timestep < high for at, timestep in enumerate(timesteps))


def all_kept(notes: dict[str, Any], family: str, interval: int, cross: int) -> int:
    times = notes["timesteps"]
    return SELF[family] * kept(times, interval) + CROSS[family] * kept(times, cross)


@pytest.mark.parametrize(("interval", "cross"), [(2, 3), (4, 1)])
def test_it_is_diffusers_hook_in_the_stock_pipeline(studio: Studio, interval: int, cross: int) -> None:
    """One branch for Flux: the hook has no contexts, and mixes branches that are asked one after the other."""
    family, now = studio.model.family, [0.0]

    def apply(transformer: Any) -> None:
        config = PyramidAttentionBroadcastConfig(
            spatial_attention_block_skip_range=interval,
            cross_attention_block_skip_range=cross,
            current_timestep_callback=lambda: now[0],  # type: ignore[arg-type, return-value]
        )
        apply_pyramid_attention_broadcast(transformer, config)

        def tell(module: Any, given: tuple, options: dict[str, Any]) -> None:
            now[0] = float(options["timestep"].flatten()[0]) * (1000 if family == "flux" else 1)

        transformer.register_forward_pre_hook(tell, with_kwargs=True)

    with by_hand(studio, apply):
        expected = stock(studio, guided=family != "flux")
    options = {"guidance": cfg(1), "negative": None} if family == "flux" else {}
    found, notes = ours(studio, pyramid_attention(studio.model, interval, cross), **options)
    assert (found - expected).abs().max() <= 1e-4
    assert notes["attentions_kept"] == all_kept(notes, family, interval, cross) > 0
    assert notes["attentions_kept"] + notes["attentions_computed"] == STEPS * (SELF[family] + CROSS[family])
    assert (found - ours(studio, studio.model, **options)[0]).abs().max() > 1e-4


@pytest.mark.parametrize("settings", [(1, 1, 100, 800), (2, 2, 999, 1000)])
def test_neutral_settings_change_nothing(studio: Studio, settings: tuple[int, int, int, int]) -> None:
    cached, notes = sampled(studio, pyramid_attention(studio.model, *settings))
    assert torch.equal(cached.samples, sampled(studio, studio.model)[0].samples)
    assert notes["attentions_kept"] == 0


def test_a_run_from_a_picture_leaves_nothing_for_the_next(studio: Studio) -> None:
    cached = pyramid_attention(studio.model, 3, 3)
    with live.use(cached):  # attached throughout
        alone, _ = sampled(studio, cached)
        _, notes = sampled(studio, cached, latent=Latent(alone.samples), strength=0.5)
        assert notes["attentions_kept"] == all_kept(notes, studio.model.family, 3, 3)
        assert torch.equal(sampled(studio, cached)[0].samples, alone.samples)


def test_it_leaves_the_transformer_as_it_was(studio: Studio) -> None:
    before = module_facts(studio)
    sampled(studio, pyramid_attention(studio.model))
    assert module_facts(studio) == before


def test_together_with_guidance_that_stops(studio: Studio) -> None:
    cached = pyramid_attention(studio.model, 4, 4, 0, 1000)
    _, notes = sampled(studio, cached, guidance=adaptive_guidance(cfg(3), -1.0))
    assert notes["network_calls"] == STEPS + 1
    times = notes["timesteps"]
    each = SELF[studio.model.family] + CROSS[studio.model.family]
    assert notes["attentions_kept"] == each * kept(times, 4, 0, 1000) > 0


def test_what_it_cannot_do_is_told(sd: Studio, sd3: Studio) -> None:
    with pytest.raises(NodeError, match="works on models of the families sd3 and flux and pixart; this one is of sd,"):
        pyramid_attention(sd.model)
    with pytest.raises(NodeError, match="low 800 is not below high 100"):
        pyramid_attention(sd3.model, 2, 3, 800, 100)
