from __future__ import annotations

import pytest
import torch
from diffusers.hooks import MagCacheConfig, apply_mag_cache
from diffusers.hooks.mag_cache import FLUX_MAG_RATIOS
from hooking import STEPS, by_hand, module_facts, ours, sampled, stock
from studio import PROMPT, Studio

from latentloom.graph.node import NodeError
from latentloom.nodes.cache.calibrate_mag_cache import calibrate_mag_cache
from latentloom.nodes.cache.mag_cache import FAMILIES, mag_cache
from latentloom.nodes.guidance.adaptive_guidance import adaptive_guidance
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.models import live
from latentloom.nodes.prompt.encode_prompt import encode_prompt
from latentloom.nodes.schedule.schedule import schedule
from latentloom.nodes.types import Latent, Table

BLOCKS = {"sd3": 2, "flux": 3, "pixart": 2}
RATIOS = (1.0, 1.2, 1.1, 1.03, 1.02, 1.01, 1.0, 0.99, 0.98, 0.95)
TABLE = Table(("step", "ratio"), tuple(enumerate(RATIOS)))


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
    found, notes = ours(studio, mag_cache(studio.model, TABLE, threshold, most, retention))
    assert (found - expected).abs().max() <= 1e-4
    assert notes["blocks_skipped"] == BLOCKS[studio.model.family] * skipped(threshold, most, retention) > 0
    assert (found - ours(studio, studio.model)[0]).abs().max() > 1e-3


@pytest.mark.parametrize(("threshold", "retention"), [(0.0, 0.0), (10.0, 1.0)])
def test_neutral_settings_change_nothing(studio: Studio, threshold: float, retention: float) -> None:
    cached, notes = sampled(studio, mag_cache(studio.model, TABLE, threshold, 3, retention))
    assert torch.equal(cached.samples, sampled(studio, studio.model)[0].samples)
    assert notes["blocks_skipped"] == 0


def test_flux_has_published_ratios(flux: Studio, sd3: Studio) -> None:
    """As many as steps: the rule is applied to them as they are."""
    steps, ratios = len(FLUX_MAG_RATIOS), tuple(FLUX_MAG_RATIOS.tolist())
    _, notes = sampled(flux, mag_cache(flux.model), steps=steps)
    assert notes["blocks_skipped"] == 3 * skipped(0.06, 3, 0.2, ratios)
    with pytest.raises(NodeError, match="no published ratios for sd3: wire calibrate_mag_cache"):
        mag_cache(sd3.model)


def test_a_run_from_a_picture_goes_by_its_own_steps(studio: Studio) -> None:
    """The first half is past, and with it the share that always runs; the first step there is always runs."""
    cached = mag_cache(studio.model, TABLE, 0.06, 3, 0.2)
    with live.use(cached):  # attached throughout
        alone, notes = sampled(studio, cached)
        _, half = sampled(studio, cached, latent=Latent(alone.samples), strength=0.5)
        again, same = sampled(studio, cached)
    assert half["blocks_skipped"] > 0
    assert torch.equal(again.samples, alone.samples)
    assert same["blocks_skipped"] == notes["blocks_skipped"]


def test_it_leaves_the_transformer_as_it_was(studio: Studio) -> None:
    before = module_facts(studio)
    sampled(studio, mag_cache(studio.model, TABLE))
    assert module_facts(studio) == before


def test_together_with_guidance_that_stops(studio: Studio) -> None:
    cached = mag_cache(studio.model, TABLE, 0.06, 3, 0.2)
    _, notes = sampled(studio, cached, guidance=adaptive_guidance(cfg(3), -1.0))
    assert notes["network_calls"] == STEPS + 1
    assert notes["blocks_skipped"] == BLOCKS[studio.model.family] * skipped(0.06, 3, 0.2)


def test_calibration_measures_what_diffusers_does(studio: Studio, capsys: pytest.CaptureFixture) -> None:
    config = MagCacheConfig(num_inference_steps=STEPS, calibrate=True)
    with by_hand(studio, lambda transformer: apply_mag_cache(transformer, config)):
        stock(studio, guided=False)
    printed = capsys.readouterr().out
    expected = [float(each) for each in printed[printed.rindex("[") + 1 : printed.rindex("]")].split(",")]
    words = encode_prompt(studio.model, PROMPT)
    table = calibrate_mag_cache(
        studio.model, studio.noise(2), words, schedule=schedule(STEPS), guidance=cfg(3 if embedded(studio) else 1)
    )
    assert table.columns == ("step", "ratio")
    assert [step for step, _ in table.rows] == list(range(STEPS))
    assert [ratio for _, ratio in table.rows] == pytest.approx(expected, rel=1e-3)
    assert not capsys.readouterr().out
    assert mag_cache(studio.model, table) != mag_cache(studio.model, TABLE)


def embedded(studio: Studio) -> bool:
    return studio.model.family == "flux"


def test_tables_without_ratios_are_refused(sd3: Studio, sd: Studio) -> None:
    with pytest.raises(NodeError, match="columns a, b and 1 rows; ratios are the column 'ratio'"):
        mag_cache(sd3.model, Table(("a", "b"), ((1, 2),)))
    with pytest.raises(NodeError, match="not all numbers above 0"):
        mag_cache(sd3.model, Table(("ratio",), (("x",),)))
    for method in (lambda: mag_cache(sd.model, TABLE), lambda: calibrate_mag_cache(sd.model, None, None)):  # type: ignore[arg-type]
        with pytest.raises(NodeError, match="MagCache works on models of the families sd3 and flux and pixart"):
            method()
