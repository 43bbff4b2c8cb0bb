from __future__ import annotations

import pytest
import torch
from diffusers.hooks import MagCacheConfig, apply_mag_cache
from diffusers.hooks.mag_cache import FLUX_MAG_RATIOS
from hooking import STEPS, by_hand, module_facts, ours, sampled, stock
from studio import Studio

from latentloom.graph.node import NodeError
from latentloom.nodes.cache.mag_cache import FAMILIES, mag_cache
from latentloom.nodes.guidance.adaptive_guidance import adaptive_guidance
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.guidance.guidance_interval import guidance_interval
from latentloom.nodes.models import live
from latentloom.nodes.types import Latent

BLOCKS = {"sd3": 2, "flux": 3, "pixart": 2}
RATIOS = (1.0, 1.2, 1.1, 1.03, 1.02, 1.01, 1.0, 0.99, 0.98, 0.95)
LIST = list(RATIOS)


@pytest.fixture(params=FAMILIES)
def studio(request: pytest.FixtureRequest) -> Studio:
    return request.getfixturevalue(request.param)


def skipped(threshold: float, most: int, retention: float, ratios: tuple[float, ...] = RATIOS) -> int:
    """Steps that are left out, by the rule."""
    found, product, total, row = 0, 1.0, 0.0, 0
    for at, ratio in enumerate(ratios):
        if at < int(retention * len(ratios) + 0.5):
            continue
        product, row = product * ratio, row + 1
        total += abs(1 - product)
        if at and total <= threshold and row <= most:
            found += 1
        else:
            product, total, row = 1.0, 0.0, 0
    return found


@pytest.mark.parametrize(("threshold", "most", "retention"), [(0.06, 3, 0.2), (0.3, 2, 0.1), (5.0, 50, 0.0)])
def test_it_is_diffusers_hook_in_the_stock_pipeline(
    studio: Studio, threshold: float, most: int, retention: float
) -> None:
    config = MagCacheConfig(threshold, most, retention, STEPS, list(RATIOS))
    with by_hand(studio, lambda transformer: apply_mag_cache(transformer, config)):
        expected = stock(studio)
    found, notes = ours(studio, mag_cache(studio.model, LIST, threshold, most, retention))
    assert (found - expected).abs().max() <= 1e-4
    assert notes["blocks_skipped"] == BLOCKS[studio.model.family] * skipped(threshold, most, retention) > 0
    assert (found - ours(studio, studio.model)[0]).abs().max() > 1e-3


@pytest.mark.parametrize(("threshold", "retention"), [(0.0, 0.0), (10.0, 1.0)])
def test_neutral_settings_change_nothing(studio: Studio, threshold: float, retention: float) -> None:
    cached, notes = sampled(studio, mag_cache(studio.model, LIST, threshold, 3, retention))
    assert torch.equal(cached.samples, sampled(studio, studio.model)[0].samples)
    assert notes["blocks_skipped"] == 0


def test_flux_has_published_ratios(flux: Studio, sd3: Studio) -> None:
    """As many as steps: the rule is applied to them as they are."""
    steps, ratios = len(FLUX_MAG_RATIOS), tuple(FLUX_MAG_RATIOS.tolist())
    _, notes = sampled(flux, mag_cache(flux.model), steps=steps)
    assert notes["blocks_skipped"] == 3 * skipped(0.06, 3, 0.2, ratios)
    with pytest.raises(NodeError, match="no published ratios for sd3: run once with calibrate"):
        mag_cache(sd3.model)


def test_a_run_from_a_picture_goes_by_its_own_steps(studio: Studio) -> None:
    """The first half is past, and with it the share that always runs; the first step there is always runs."""
    cached = mag_cache(studio.model, LIST, 0.06, 3, 0.2)
    with live.use(cached):  # attached throughout
        alone, notes = sampled(studio, cached)
        _, half = sampled(studio, cached, latent=Latent(alone.samples), strength=0.5)
        again, same = sampled(studio, cached)
    assert half["blocks_skipped"] > 0
    assert torch.equal(again.samples, alone.samples)
    assert same["blocks_skipped"] == notes["blocks_skipped"]


def test_it_leaves_the_transformer_as_it_was(studio: Studio) -> None:
    before = module_facts(studio)
    sampled(studio, mag_cache(studio.model, LIST))
    assert module_facts(studio) == before


def test_together_with_guidance_that_stops(studio: Studio) -> None:
    cached = mag_cache(studio.model, LIST, 0.06, 3, 0.2)
    _, notes = sampled(studio, cached, guidance=adaptive_guidance(cfg(3), -1.0))
    assert notes["network_calls"] == STEPS + 1
    assert notes["blocks_skipped"] == BLOCKS[studio.model.family] * skipped(0.06, 3, 0.2)


def test_calibration_measures_what_diffusers_does(studio: Studio, capsys: pytest.CaptureFixture) -> None:
    config = MagCacheConfig(num_inference_steps=STEPS, calibrate=True)
    with by_hand(studio, lambda transformer: apply_mag_cache(transformer, config)):
        stock(studio, guided=False)
    printed = capsys.readouterr().out
    expected = [float(each) for each in printed[printed.rindex("[") + 1 : printed.rindex("]")].split(",")]
    alone = {"guidance": cfg(1), "negative": None}
    found, notes = sampled(studio, mag_cache(studio.model, calibrate=True), **alone)
    assert torch.equal(found.samples, sampled(studio, studio.model, **alone)[0].samples)
    assert notes["magnitude_ratios"] == pytest.approx(expected, rel=1e-3)
    assert notes["blocks_skipped"] == 0
    assert not capsys.readouterr().out
    _, used = sampled(studio, mag_cache(studio.model, notes["magnitude_ratios"], 10.0), **alone)
    assert used["blocks_skipped"] == BLOCKS[studio.model.family] * skipped(10.0, 3, 0.2, tuple(expected)) > 0


def test_calibration_goes_on_where_branches_change(sd3: Studio) -> None:
    """One ratio a step, whichever branches it was measured on."""
    measuring = mag_cache(sd3.model, calibrate=True)
    _, plain = sampled(sd3, measuring)
    _, fewer = sampled(sd3, measuring, guidance=adaptive_guidance(cfg(3), -1.0))
    _, more = sampled(sd3, measuring, guidance=guidance_interval(cfg(3), 1.0, 5.0))
    assert [len(notes["magnitude_ratios"]) for notes in (plain, fewer, more)] == [STEPS] * 3
    assert more["magnitude_ratios"].count(1.0) == 2  # the first step, and the first guided one


def test_models_with_a_unet_are_refused(sd: Studio) -> None:
    with pytest.raises(NodeError, match="MagCache works on models of the families sd3 and flux and pixart"):
        mag_cache(sd.model)
