# pyright: reportArgumentType=false

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import tomesd
import torch
from diffusers import UNet2DConditionModel
from ladder import BRANCHES, run_patched, run_plain
from studio import Studio
from torch import Tensor

from latentloom.graph.node import NodeError
from latentloom.graph.progress import Progress
from latentloom.nodes.cache.deepcache import deepcache
from latentloom.nodes.cache.faster_diffusion import faster_diffusion
from latentloom.nodes.cache.token_merging import TokenMerging, token_merging
from latentloom.nodes.guidance.adaptive_guidance import adaptive_guidance
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.schedule.sampler import sampler
from latentloom.nodes.schedule.schedule import schedule
from latentloom.nodes.types import Latent


def merging(ratio: float = 0.5, max_downsample: int = 1, **options: Any) -> TokenMerging:
    usual = {"sx": 2, "sy": 2, "use_rand": False, "merge_attn": True, "merge_crossattn": False, "merge_mlp": False}
    return TokenMerging(ratio, max_downsample, **{**usual, **options})


def by_the_package(unet: Any, samples: list[Tensor], **options: Any) -> list[Tensor]:
    tomesd.apply_patch(unet, **options)
    try:
        return run_plain(unet, samples)
    finally:
        tomesd.remove_patch(unet)
        for module in unet.modules():
            module.__dict__.pop("_tome_info", None)


@pytest.mark.parametrize(
    "options",
    [
        {"ratio": 0.5},
        {"ratio": 0.75},
        {"ratio": 0.3, "max_downsample": 4},
        {"ratio": 0.5, "sx": 4, "sy": 2},
        {"ratio": 0.5, "merge_crossattn": True},
        {"ratio": 0.5, "merge_attn": False, "merge_mlp": True},
    ],
)
def test_it_is_what_the_authors_package_gives(
    unet: UNet2DConditionModel, samples: list[Tensor], options: dict[str, Any]
) -> None:
    if "max_downsample" in options:
        samples = [torch.cat([torch.cat([sample, sample.flip(2)], 2)] * 2, 3) for sample in samples]
    ours, _ = run_patched(unet, merging(**options), samples)
    theirs = by_the_package(unet, samples, use_rand=False, **options)
    plain = run_plain(unet, samples)
    for one, other, unmerged in zip(ours, theirs, plain, strict=True):
        assert torch.equal(one, other)
        assert not torch.allclose(one, unmerged, atol=1e-4)


def test_a_ratio_of_zero_changes_nothing(unet: UNet2DConditionModel, samples: list[Tensor]) -> None:
    ours, _ = run_patched(unet, merging(0.0, use_rand=True), samples)
    assert all(torch.equal(one, other) for one, other in zip(ours, run_plain(unet, samples), strict=True))


def test_attention_sees_fewer_tokens(unet: UNet2DConditionModel, samples: list[Tensor]) -> None:
    seen: set[int] = set()
    attention: Any = unet.down_blocks[0].attentions[0].transformer_blocks[0].attn1  # type: ignore[index]
    hook = attention.register_forward_pre_hook(lambda _, given: seen.add(given[0].shape[1]))
    run_patched(unet, merging(0.5), samples[:1])
    hook.remove()
    assert seen == {32}, "of 8 x 8"


def test_drawing_begins_anew_with_every_run(unet: UNet2DConditionModel, samples: list[Tensor]) -> None:
    """Whatever the global generator is at, and whatever was drawn before."""
    first, _ = run_patched(unet, merging(use_rand=True), samples)
    torch.rand(3)
    again, _ = run_patched(unet, merging(use_rand=True), samples)
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert not torch.equal(first[0], run_patched(unet, merging(), samples)[0][0])


def test_it_leaves_the_unet_as_it_was(unet: UNet2DConditionModel, samples: list[Tensor]) -> None:
    before = [(type(module), dict(module.__dict__)) for module in unet.modules()]
    hooks = len(unet._forward_pre_hooks)
    run_patched(unet, merging(), samples[:1])
    assert len(unet._forward_pre_hooks) == hooks
    assert [(type(module), dict(module.__dict__)) for module in unet.modules()] == before


def test_a_latent_too_small_for_its_cells_is_refused(unet: UNet2DConditionModel, samples: list[Tensor]) -> None:
    with pytest.raises(NodeError, match="latent of 8x8 has no cell of 4x4 tokens where it is 4 times smaller"):
        run_patched(unet, merging(0.5, 8, sx=4, sy=4), samples)


def test_a_branch_is_merged_by_itself(unet: UNet2DConditionModel, samples: list[Tensor]) -> None:
    both, _ = run_patched(unet, merging(), samples)
    fewer, _ = run_patched(unet, merging(), samples, lambda at: BRANCHES if at < 3 else BRANCHES[:1])
    assert torch.allclose(fewer[4], both[4][:1], rtol=0, atol=1e-6)


# ---------------------------------------------------------------- in a run


def pictures(studio: Studio, model: Any = None, **options: Any) -> tuple[Tensor, dict[str, Any]]:
    notes: dict[str, Any] = {}
    given = {"schedule": schedule(6), "sampler": sampler("ddim"), "guidance": cfg(3), **options}
    changed = replace(studio, model=model or studio.model)
    return changed.sample(2, progress=Progress(on_note=notes.update), **given).samples, notes


def test_the_same_seed_gives_the_same_picture(studio: Studio) -> None:
    merged = token_merging(studio.model)
    first, _ = pictures(studio, merged)
    torch.rand(3)
    assert torch.equal(pictures(studio, merged)[0], first)
    assert not torch.allclose(pictures(studio)[0], first, atol=1e-3)
    assert torch.equal(pictures(studio, token_merging(studio.model, 0.0))[0], pictures(studio)[0])


def test_a_run_from_a_picture_leaves_nothing_for_the_next(studio: Studio) -> None:
    merged = token_merging(studio.model)
    alone, _ = pictures(studio, merged)
    pictures(studio, merged, latent=Latent(alone), strength=0.5)
    assert torch.equal(pictures(studio, merged)[0], alone)


@pytest.mark.parametrize("cache", [lambda model: deepcache(model, 3), lambda model: faster_diffusion(model, "uniform")])
def test_it_goes_with_caches_in_either_order(studio: Studio, cache: Any) -> None:
    inside, notes = pictures(studio, token_merging(cache(studio.model)))
    outside, same = pictures(studio, cache(token_merging(studio.model)))
    assert torch.equal(inside, outside)
    assert notes["network_calls"] == same["network_calls"] == 12
    assert len({"deep_levels_skipped", "encoder_passes_skipped"} & set(notes)) == 1
    assert not torch.equal(inside, pictures(studio, cache(studio.model))[0])


def test_together_with_guidance_that_stops(studio: Studio) -> None:
    _, notes = pictures(studio, token_merging(studio.model), guidance=adaptive_guidance(cfg(3), -1.0))
    assert notes["network_calls"] == 6 + 1


def test_what_it_cannot_do_is_told(sd: Studio, sd3: Studio) -> None:
    with pytest.raises(NodeError, match=r"for models with a UNet \(sd, sdxl\), and sd3 has a transformer"):
        token_merging(sd3.model)
    with pytest.raises(NodeError, match=r"at most 0.75 of them can be merged, not 0.8"):
        token_merging(sd.model, 0.8)
    with pytest.raises(NodeError, match="merged already"):
        token_merging(token_merging(sd.model))
