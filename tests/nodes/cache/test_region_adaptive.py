from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import SD3Transformer2DModel
from hooking import STEPS, module_facts, sampled
from ladder import steps
from studio import NEGATIVE, Studio
from torch import Tensor

from latentloom.graph.node import NodeError
from latentloom.nodes.cache import regions
from latentloom.nodes.cache.region_adaptive import RegionAdaptive, Watch, measure, region_adaptive, select
from latentloom.nodes.cache.taylorseer import taylorseer
from latentloom.nodes.guidance.adaptive_guidance import adaptive_guidance
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.models import live
from latentloom.nodes.models.call import Call, under_way
from latentloom.nodes.schedule.sampler import sampler
from latentloom.nodes.types import Conditioning, Latent

TOKENS = 16
"""Of the tiny pictures."""


def method(ratio: float = 0.5, start: int = 1, **options: Any) -> RegionAdaptive:
    return RegionAdaptive(
        **{"ratio": ratio, "start": start, "resets": (), "end": 0, "high": 1.0, "starvation": 0.1, **options}
    )


# ---------------------------------------------------------------- which tokens


def by_the_oracle(metric: Tensor, drop: Tensor, ratio: float, scale: float, high_ratio: float) -> Tensor:
    """One picture, one token after another."""
    n = metric.numel()
    skip = n - round(n * ratio)
    hi = round(skip * high_ratio)
    dropped = sorted(range(n), key=lambda i: float(metric[i]) * math.exp(scale * drop[i]))[: skip - hi]
    rest = [i for i in range(n) if i not in dropped]
    dropped += sorted(rest, key=lambda i: -float(metric[i]) * math.exp(-scale * drop[i]))[:hi]
    return torch.tensor([i for i in range(n) if i not in dropped])


@pytest.mark.parametrize("high", [1.0, 0.3, 0.0])
@pytest.mark.parametrize("ratio", [0.5, 0.125, 0.9])
def test_each_picture_keeps_the_tokens_the_rule_says(ratio: float, high: float) -> None:
    metric = torch.rand(3, 24, generator=torch.Generator().manual_seed(1))
    drop = torch.randint(0, 9, (3, 24), generator=torch.Generator().manual_seed(2)).float()
    active, dropped = select(metric, drop, method(ratio, high=high, starvation=0.3))
    assert active.shape == (3, round(24 * ratio))
    assert torch.equal(dropped.sum(1), torch.full((3,), 24.0 - round(24 * ratio)))
    for image in range(3):
        assert torch.equal(active[image], by_the_oracle(metric[image], drop[image], ratio, 0.3, high))


def test_the_measure_is_the_mean_of_the_channels_spread() -> None:
    moved = torch.randn(2, 4, 4, 6)
    expected = moved.std(1).view(2, 2, 2, 3, 2).mean((2, 4)).flatten(1)
    assert torch.allclose(measure(moved, 2), expected, atol=1e-6)


@pytest.mark.parametrize("high", [1.0, 0.5, 0.0])
def test_no_token_starves(high: float) -> None:
    metric = torch.rand(1, 64, generator=torch.Generator().manual_seed(0)) + 0.5
    drops = torch.zeros(1, 64)
    for _ in range(60):
        drops += select(metric, drops, method(high=high, starvation=0.3))[1]
    assert drops.max() - drops.min() <= 16
    assert drops.sum() == 60 * 32


def test_what_moves_is_taken_from_the_latents_themselves() -> None:
    samples = [torch.randn(2, 4, 8, 6, generator=torch.Generator().manual_seed(i)) for i in range(5)]
    watch, run, branches = Watch(method(0.25, 2), 2), steps(range(5)), (Conditioning(torch.zeros(1, 1, 1)),)
    found = [watch.active(Call(run, at, branches, Counter()), sample) for at, sample in enumerate(samples)]
    assert found[0] is None and found[1] is None
    expected, dropped = select(measure(samples[2] - samples[1], 2), torch.zeros(2, 12), method(0.25))
    assert found[2] is not None and torch.equal(found[2], expected)
    expected, _ = select(measure(samples[3] - samples[2], 2), dropped, method(0.25))
    assert found[3] is not None and torch.equal(found[3], expected)


# ---------------------------------------------------------------- the transformer over some tokens


@pytest.fixture(scope="module", params=[(), (0,)], ids=["3", "3.5"])
def transformer(request: pytest.FixtureRequest) -> SD3Transformer2DModel:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"num_layers": 3, "attention_head_dim": 8, "num_attention_heads": 2}
    made = SD3Transformer2DModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        joint_attention_dim=12,
        caption_projection_dim=16,
        pooled_projection_dim=10,
        pos_embed_max_size=12,
        dual_attention_layers=request.param,
        qk_norm="rms_norm" if request.param else None,
        **sizes,
    ).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return made


def given(seed: int = 0, rows: int = 2) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "hidden_states": torch.randn(rows, 4, 8, 6, generator=generator),
        "encoder_hidden_states": torch.randn(rows, 5, 12, generator=generator),
        "pooled_projections": torch.randn(rows, 10, generator=generator),
        "timestep": torch.full((rows,), 500.0),
    }


def test_attention_that_keeps_is_the_attention(transformer: SD3Transformer2DModel) -> None:
    with torch.no_grad():
        plain = transformer(**given())[0]
        before = [block.attn.processor for block in transformer.transformer_blocks]  # type: ignore[union-attr]
        with regions.keeping(transformer):
            assert torch.equal(transformer(**given())[0], plain)
    assert [block.attn.processor for block in transformer.transformer_blocks] == before  # type: ignore[union-attr]


@pytest.mark.parametrize("some", [[0, 3, 7], [11, 2], list(range(12))])
def test_after_a_full_step_any_tokens_are_as_they_were(transformer: SD3Transformer2DModel, some: list[int]) -> None:
    """With the same latent and time; in whatever order they stand."""
    active = torch.tensor([some, [11 - each for each in some]])
    with torch.no_grad(), regions.keeping(transformer) as processors:
        whole = regions.tokens(transformer(**given())[0], 2)
        regions.give(processors, regions.kept(processors), active)
        found = regions.predict(transformer, active, **given())
    assert torch.allclose(found, whole.gather(1, active[..., None].expand_as(found)), atol=1e-5)


def test_all_tokens_are_a_dense_step_whatever_was_kept(transformer: SD3Transformer2DModel) -> None:
    active = torch.arange(12).flip(0).expand(2, -1)
    with torch.no_grad(), regions.keeping(transformer) as processors:
        transformer(**given(seed=1))
        regions.give(processors, regions.kept(processors), active)
        found = regions.predict(transformer, active, **given())
        regions.kept(processors)
        dense = regions.tokens(transformer(**given())[0], 2)
    assert torch.allclose(found.flip(1), dense, atol=1e-5)


def test_tokens_and_picture_are_each_others_inverse(transformer: SD3Transformer2DModel) -> None:
    latent = torch.randn(2, 4, 8, 6)
    assert torch.equal(regions.picture(regions.tokens(latent, 2), 2, 8, 6), latent)


def test_dropped_tokens_keep_what_they_had(transformer: SD3Transformer2DModel) -> None:
    branches, counts, run = (Conditioning(torch.zeros(1, 1, 1)),), Counter[str](), steps(range(3))
    found = []
    with method(0.25).attach("transformer", transformer), torch.no_grad():
        for at in range(3):
            with under_way(Call(run, at, branches, counts)):
                hidden = given(at)
                hidden |= {name: given()[name] for name in ("encoder_hidden_states", "pooled_projections")}
                found.append(regions.tokens(transformer(hidden.pop("hidden_states"), **hidden)[0], 2))
    assert [(a != b).any(-1).sum(1).tolist() for a, b in pairwise(found)] == [[3, 3], [3, 3]]
    assert counts == {"image tokens computed": 2 * 2 * 3, "image tokens kept": 2 * 2 * 9}


# ---------------------------------------------------------------- in a run


def kept(full: int, ratio: float = 0.5, rows: int = 4, run: int = STEPS, tokens: int = TOKENS) -> int:
    return (run - full) * rows * (tokens - round(tokens * ratio))


def test_the_steps_that_are_full_are_counted(sd3: Studio) -> None:
    made = region_adaptive(sd3.model, 0.25, 3, [6], 9)
    latent, notes = sampled(sd3, made)
    assert notes["image_tokens_kept"] == kept(3 + 1 + 1, 0.25)
    assert notes["image_tokens_computed"] == (STEPS - 5) * 4 * round(TOKENS * 0.25)
    assert not torch.allclose(latent.samples, sampled(sd3, sd3.model)[0].samples, atol=1e-3)


@pytest.mark.parametrize("settings", [(1.0, 1), (0.5, STEPS), (0.5, 1, [], 1)])
def test_neutral_settings_change_nothing(sd3: Studio, settings: tuple[Any, ...]) -> None:
    latent, notes = sampled(sd3, region_adaptive(sd3.model, *settings))
    assert torch.equal(latent.samples, sampled(sd3, sd3.model)[0].samples)
    assert "image_tokens_kept" not in notes


def test_nearly_all_tokens_are_nearly_the_plain_run(sd3: Studio) -> None:
    plain = sampled(sd3, sd3.model)[0].samples
    near, far = (
        (sampled(sd3, region_adaptive(sd3.model, ratio, 2, []))[0].samples - plain).norm() for ratio in (0.95, 0.2)
    )
    assert 0 < near < far


def test_pictures_of_other_shapes_and_each_alone(sd3: Studio) -> None:
    """What a picture drops is its own affair."""
    made, noise = region_adaptive(sd3.model, 0.5, 2, []), sd3.noise(2, size=(48, 24))
    together, notes = sampled(sd3, made, noise=noise)
    assert notes["image_tokens_kept"] == kept(2, tokens=6 * 3)
    alone, _ = sampled(sd3, made, noise=replace(noise, samples=noise.samples[1:], seeds=noise.seeds[1:]))
    assert torch.allclose(together.samples[1:], alone.samples, atol=1e-4)


def test_a_run_from_a_picture_leaves_nothing_for_the_next(sd3: Studio) -> None:
    made = region_adaptive(sd3.model, 0.5, 2, [])
    with live.use(made):  # attached throughout
        alone, _ = sampled(sd3, made)
        _, notes = sampled(sd3, made, latent=Latent(alone.samples), strength=0.5)
        assert notes["image_tokens_kept"] == kept(2, run=STEPS // 2)
        assert torch.equal(sampled(sd3, made)[0].samples, alone.samples)


def test_it_leaves_the_transformer_as_it_was(sd3: Studio) -> None:
    before = module_facts(sd3)
    sampled(sd3, region_adaptive(sd3.model, 0.5, 1, []))
    assert module_facts(sd3) == before


def test_together_with_guidance_that_stops(sd3: Studio) -> None:
    _, notes = sampled(
        sd3, region_adaptive(sd3.model, 0.5, 3, []), negative=NEGATIVE, guidance=adaptive_guidance(cfg(3), -1.0)
    )
    assert notes["network_calls"] == STEPS + 1
    assert notes["image_tokens_kept"] == kept(3, rows=2)


def test_what_it_cannot_do_is_told(sd3: Studio, flux: Studio, tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="works on models of the families sd3; this one is of flux"):
        region_adaptive(flux.model)
    with pytest.raises(NodeError, match="with the sampler euler alone: FlowMatchHeunDiscreteScheduler"):
        sampled(sd3, region_adaptive(sd3.model), sampler=sampler("heun"))
    with pytest.raises(NodeError, match="Region-adaptive sampling and TaylorSeer both decide"):
        region_adaptive(taylorseer(sd3.model))
