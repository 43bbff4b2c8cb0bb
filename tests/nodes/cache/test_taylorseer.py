# pyright: reportArgumentType=false

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers.hooks import TaylorSeerCacheConfig, apply_taylorseer_cache
from hooking import STEPS, by_hand, module_facts, ours, sampled, stock
from ladder import steps
from studio import Studio
from torch import Tensor, nn

from latentloom.graph.node import NodeError
from latentloom.graph.progress import Progress
from latentloom.nodes.cache.taylorseer import LEFT_OUT, PREDICTED, TaylorSeer, taylorseer
from latentloom.nodes.guidance.adaptive_guidance import adaptive_guidance
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.guidance.guidance_interval import guidance_interval
from latentloom.nodes.models import live
from latentloom.nodes.models.call import Call, under_way
from latentloom.nodes.prompt.encode_prompt import encode_prompt
from latentloom.nodes.sample.denoise import denoise
from latentloom.nodes.schedule.schedule import schedule
from latentloom.nodes.types import Conditioning, Latent

FAMILIES = ["sd3", "flux", "pixart"]
HOOKED = {"sd3": 2 + 2 + 1, "flux": 3 + 2 * 3, "pixart": 2 * 3}
"""Modules of the tiny transformers: for sd3, attention and feed-forward of two blocks, that of the first's prompt."""


@pytest.fixture(params=FAMILIES)
def studio(request: pytest.FixtureRequest) -> Studio:
    return request.getfixturevalue(request.param)


def full(steps: int, first: int, interval: int) -> int:
    """How many steps are full, by the formula of diffusers' hook."""
    return steps if interval == 1 else min(steps, first) + max(0, math.ceil((steps - first - 1) / interval))


@pytest.mark.parametrize(("interval", "order", "first"), [(3, 1, 2), (4, 2, 1), (2, 0, 3)])
def test_it_is_diffusers_hook_in_the_stock_pipeline(studio: Studio, interval: int, order: int, first: int) -> None:
    family = studio.model.family
    config = TaylorSeerCacheConfig(
        cache_interval=interval,
        disable_cache_before_step=first,
        max_order=order,
        taylor_factors_dtype=torch.float32,
        cache_identifiers=list(PREDICTED[family]),
        skip_predict_identifiers=list(LEFT_OUT.get(family, ())),
    )
    with by_hand(studio, lambda transformer: apply_taylorseer_cache(transformer, config)):
        expected = stock(studio)
    found, notes = ours(studio, taylorseer(studio.model, interval, order, first))
    assert (found - expected).abs().max() <= 1e-4
    assert (found - ours(studio, studio.model)[0]).abs().max() > 1e-3
    assert notes["modules_computed"] == full(STEPS, first, interval) * HOOKED[family]
    assert notes["modules_predicted"] == (STEPS - full(STEPS, first, interval)) * HOOKED[family]


def test_diffusers_default_on_flux_predicts_the_same_attention(flux: Studio) -> None:
    """The patterns name modules; the default's are the attentions of both kinds of block."""
    config = TaylorSeerCacheConfig(cache_interval=3, taylor_factors_dtype=torch.float32)
    with by_hand(flux, lambda transformer: apply_taylorseer_cache(transformer, config)):
        expected = stock(flux)
    patch = TaylorSeer(3, 1, 3, (r"transformer_blocks\.\d+\.attn", r"single_transformer_blocks\.\d+\.attn"))
    found, _ = ours(flux, replace(flux.model, patches=(patch,)))
    assert (found - expected).abs().max() <= 1e-4


@pytest.mark.parametrize(("interval", "first"), [(1, 1), (5, STEPS)])
def test_full_steps_alone_are_the_plain_run(studio: Studio, interval: int, first: int) -> None:
    plain, _ = sampled(studio, studio.model)
    cached, notes = sampled(studio, taylorseer(studio.model, interval, 1, first))
    assert torch.equal(cached.samples, plain.samples)
    assert notes["modules_predicted"] == 0


def test_a_run_from_a_picture_leaves_nothing_for_the_next(studio: Studio) -> None:
    cached = taylorseer(studio.model, 3, 1, 2)
    with live.use(cached):  # attached throughout
        alone, _ = sampled(studio, cached)
        _, notes = sampled(studio, cached, latent=Latent(alone.samples), sampler=None, strength=0.5)
        assert notes["modules_computed"] == full(STEPS // 2, 2, 3) * HOOKED[studio.model.family]
        assert torch.equal(sampled(studio, cached)[0].samples, alone.samples)


def test_it_leaves_the_transformer_as_it_was(studio: Studio) -> None:
    plain, _ = sampled(studio, studio.model)
    before = module_facts(studio)
    sampled(studio, taylorseer(studio.model, 3))
    assert module_facts(studio) == before
    assert torch.equal(sampled(studio, studio.model)[0].samples, plain.samples)


def test_together_with_guidance_that_stops(studio: Studio) -> None:
    """From the step on at which the unconditional branch is dropped, only the other's rows go on."""
    cached = taylorseer(studio.model, 4, 1, 2)
    _, notes = sampled(studio, cached, guidance=adaptive_guidance(cfg(3), -1.0))
    assert notes["network_calls"] == STEPS + 1
    assert notes["modules_computed"] == full(STEPS, 2, 4) * HOOKED[studio.model.family]


def test_a_branch_that_comes_back_begins_anew(sd3: Studio) -> None:
    cached = taylorseer(sd3.model, 50, 1, 1)
    _, notes = sampled(sd3, cached, guidance=guidance_interval(cfg(3), 1.0, 5.0))
    alone, guided = notes["network_passes"] * 2 - notes["network_calls"], notes["network_calls"] - STEPS
    assert alone >= 3 and guided >= 3
    assert notes["modules_computed"] == 2 * full(STEPS, 1, 50) * HOOKED["sd3"]  # from the first guided step, again


def test_prompts_of_two_lengths_are_two_lines(sd3: Studio) -> None:
    """Each length is a call of its own, that goes on from its own."""
    words, empty = encode_prompt(sd3.model, "a red circle BREAK and more"), encode_prompt(sd3.model, "")
    notes: dict[str, Any] = {}
    given = {"schedule": schedule(STEPS), "guidance": cfg(1e-6), "preview": False}
    cached, noise = taylorseer(sd3.model, 4, 1, 2), sd3.noise(2)
    both = denoise(cached, noise, words, empty, progress=Progress(on_note=notes.update), **given).latent
    assert notes["modules_computed"] == 2 * full(STEPS, 2, 4) * HOOKED["sd3"]
    alone = denoise(cached, noise, empty, schedule=schedule(STEPS), guidance=cfg(1), preview=False).latent
    assert torch.allclose(both.samples, alone.samples, atol=1e-4)  # what is not guided by the other is not moved by it


# ---------------------------------------------------------------- the hooks themselves


class Line(nn.Module):
    """A transformer of one layer, whose output is whatever function of the step."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.layer = Layer(function)

    def forward(self, hidden_states: Tensor) -> Tensor:
        return self.layer(hidden_states)


class Layer(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, rows: Tensor) -> Tensor:
        from latentloom.nodes.models.call import current

        call = current()
        assert call is not None
        return rows * self.function(call.at)


def predicted(function: Any, order: int, interval: int, rows: Any = lambda at: (0, 1)) -> list[list[float]]:
    """What each row gives at each step; `rows(at)` says which of two branches are asked."""
    module, found = Line(function), []
    branches = tuple(Conditioning(torch.zeros(1, 1, 1)) for _ in range(2))
    run, counts = steps(range(13)), Counter[str]()
    with TaylorSeer(interval, order, 1, ("layer",)).attach("transformer", module):
        for at in range(13):
            chosen = rows(at)
            with under_way(Call(run, at, tuple(branches[row] for row in chosen), counts)):
                given = torch.tensor([1.0, 10.0], dtype=torch.float64)[list(chosen), None]
                found.append(module(given).flatten().tolist())
    return found


@pytest.mark.parametrize("order", [0, 1, 2])
def test_constant_features_are_predicted_exactly(order: int) -> None:
    assert predicted(lambda at: 3.0, order, 4) == [[3.0, 30.0]] * 13


@pytest.mark.parametrize("order", [1, 2])
def test_straight_features_are_predicted_exactly(order: int) -> None:
    found = predicted(lambda at: 2.0 - 0.5 * at, order, 4)
    expected = [2.0 - 0.5 * at for at in range(13)]
    assert [one for one, _ in found[3:]] == pytest.approx(expected[3:], abs=1e-5)


def test_curved_features_follow_the_closed_form() -> None:
    """Not the curve itself: the differences are backward ones."""
    interval = 4
    found = predicted(lambda at: float(at * at), 2, interval)
    last, values = 10, [100.0, 36.0, 4.0]  # full at 2, 6 and 10
    for k in (1, 2):
        differences = [values[0], values[0] - values[1], values[0] - 2 * values[1] + values[2]]
        form = sum(differences[j] / interval**j * k**j / math.factorial(j) for j in range(3))
        assert found[last + k][0] == pytest.approx(form, abs=1e-4)
        assert found[last + k][0] != pytest.approx((last + k) ** 2, abs=0.5)


def test_order_zero_keeps_what_the_last_full_step_gave() -> None:
    found = predicted(lambda at: float(at), 0, 4)
    assert [one for one, _ in found] == [0, 0, 2, 2, 2, 2, 6, 6, 6, 6, 10, 10, 10]


@pytest.mark.parametrize("left", [(0,), (1,), (1, 0)])
def test_a_branch_goes_on_with_its_own_rows(left: tuple[int, ...]) -> None:
    whole = predicted(lambda at: 2.0 - 0.5 * at, 1, 4)
    fewer = predicted(lambda at: 2.0 - 0.5 * at, 1, 4, lambda at: (0, 1) if at < 8 else left)
    assert fewer[8:] == [[row[each] for each in left] for row in whole[8:]]


def test_a_branch_that_was_away_begins_anew() -> None:
    found = predicted(lambda at: float(at), 0, 4, lambda at: (0,) if at in (4, 5, 6) else (0, 1))
    assert [row[0] for row in found] == [0, 0, 2, 2, 2, 2, 6, 7, 7, 9, 9, 9, 9]


def test_outside_of_a_run_everything_runs(sd3: Studio) -> None:
    cached, sample = taylorseer(sd3.model, 5), sd3.noise(1).samples
    words = encode_prompt(sd3.model, "a red circle")
    with torch.no_grad():
        with live.use(cached) as parts:
            predict = parts.family.predictor(parts, sample.shape)
            found = [predict(sample * scale, 500.0, [words])[0] for scale in range(1, 7)]
        with live.use(sd3.model) as parts:
            predict = parts.family.predictor(parts, sample.shape)
            plain = [predict(sample * scale, 500.0, [words])[0] for scale in range(1, 7)]
    assert all(torch.equal(one, other) for one, other in zip(found, plain, strict=True))


def test_a_pattern_that_matches_nothing_is_told() -> None:
    with (
        pytest.raises(NodeError, match="TaylorSeer found no module to keep in this Line"),
        TaylorSeer(3, 1, 1, ("attn",)).attach("transformer", Line(float)),
    ):
        pass


def test_models_with_a_unet_are_refused(sd: Studio) -> None:
    with pytest.raises(NodeError, match="works on models of the families sd3 and flux and pixart; this one is of sd"):
        taylorseer(sd.model)


def test_two_methods_that_decide_what_runs_are_refused(sd3: Studio) -> None:
    with pytest.raises(NodeError, match="TaylorSeer and TaylorSeer both decide"):
        taylorseer(taylorseer(sd3.model))
