# pyright: reportArgumentType=false

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from ladder import run_patched, run_plain
from studio import Studio
from torch import Tensor

from latentloom.graph.node import NodeError
from latentloom.graph.progress import Progress
from latentloom.nodes.cache.deepcache import deepcache
from latentloom.nodes.cache.feature_slicing import FeatureSlicing, feature_slicing
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.schedule.schedule import schedule
from latentloom.nodes.types import Model


def widest(unet: Any, patch: FeatureSlicing, samples: list[Tensor], name: str) -> tuple[int, int]:
    """The most rows that any layer of the kind `name` was given, and the most tokens."""
    seen: list[tuple[int, int]] = []
    hooks = [
        module.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape[:2])))
        for module in unet.modules()
        if type(module).__name__ == name
    ]
    try:
        run_patched(unet, patch, samples[:1])
    finally:
        for hook in hooks:
            hook.remove()
    return max(rows for rows, _ in seen), max(tokens for _, tokens in seen)


def test_one_slice_changes_nothing(unet: UNet2DConditionModel, samples: list[Tensor]) -> None:
    found, _ = run_patched(unet, FeatureSlicing(1, 1), samples)
    assert all(torch.equal(a, b) for a, b in zip(found, run_plain(unet, samples), strict=True))


@pytest.mark.parametrize(("slices", "tokens"), [(2, 1), (1, 3), (2, 5), (7, 64)])
def test_slices_differ_by_rounding_alone(
    unet: UNet2DConditionModel, samples: list[Tensor], slices: int, tokens: int
) -> None:
    found, counts = run_patched(unet, FeatureSlicing(slices, tokens), samples)
    for ours, plain in zip(found, run_plain(unet, samples), strict=True):
        assert torch.allclose(ours, plain, rtol=0, atol=1e-5)
    assert not counts


def test_layers_see_a_slice_at_a_time(unet: UNet2DConditionModel, samples: list[Tensor]) -> None:
    """Layers inside of those that are sliced; two branches are two rows."""
    assert widest(unet, FeatureSlicing(2, 1), samples, "GroupNorm")[0] == 2  # the last one, of the UNet itself
    assert widest(unet, FeatureSlicing(2, 1), samples, "Attention")[0] == 1
    assert widest(unet, FeatureSlicing(1, 4), samples, "GEGLU") == (2, 64 // 4)
    assert widest(unet, FeatureSlicing(1, 1), samples, "GEGLU") == (2, 64)


def test_rows_that_do_not_divide_are_taken_in_unequal_slices(unet: UNet2DConditionModel) -> None:
    sample, tokens = torch.randn(5, 4, 8, 8), torch.randn(5, 5, 16)
    with torch.no_grad():
        plain = unet(sample, 500, encoder_hidden_states=tokens).sample
        with FeatureSlicing(2, 3).attach("unet", unet):
            sliced = unet(sample, 500, encoder_hidden_states=tokens).sample
    assert torch.allclose(sliced, plain, rtol=0, atol=1e-5)


def test_it_leaves_the_unet_as_it_was(unet: UNet2DConditionModel, samples: list[Tensor]) -> None:
    before = [dict(module.__dict__) for module in unet.modules()]
    run_patched(unet, FeatureSlicing(2, 2), samples[:1])
    with pytest.raises(RuntimeError, match="stop"), FeatureSlicing(2, 2).attach("unet", unet):
        raise RuntimeError("stop")
    assert [dict(module.__dict__) for module in unet.modules()] == before


def test_what_has_nothing_to_slice_is_refused() -> None:
    with (
        pytest.raises(NodeError, match="Linear has none of"),
        FeatureSlicing(2, 1).attach("unet", torch.nn.Linear(1, 1)),
    ):
        pass


# ---------------------------------------------------------------- in a run


def pictures(studio: Studio, model: Model) -> tuple[Tensor, dict[str, Any]]:
    notes: dict[str, Any] = {}
    sliced = replace(studio, model=model)
    options = {"schedule": schedule(6), "guidance": cfg(3), "progress": Progress(on_note=notes.update)}
    return sliced.sample(3, **options).samples, notes


@pytest.mark.parametrize("name", ["sd", "sdxl"])
def test_pictures_are_the_same(name: str, request: pytest.FixtureRequest) -> None:
    studio: Studio = request.getfixturevalue(name)
    plain, _ = pictures(studio, studio.model)
    assert torch.allclose(pictures(studio, feature_slicing(studio.model, 3, 2))[0], plain, rtol=0, atol=1e-4)
    assert torch.equal(pictures(studio, feature_slicing(studio.model, 1, 1))[0], plain)


def test_it_goes_with_a_cache(sd: Studio) -> None:
    cached = deepcache(sd.model, 3, 1)
    plain, counted = pictures(sd, cached)
    sliced, notes = pictures(sd, feature_slicing(cached, 2, 2))
    assert torch.allclose(sliced, plain, rtol=0, atol=1e-4)
    assert notes["deep_levels_skipped"] == counted["deep_levels_skipped"] > 0


def test_tokens_of_a_transformer_are_sliced_and_its_rows_refused(sd3: Studio) -> None:
    plain, _ = pictures(sd3, sd3.model)
    assert torch.allclose(pictures(sd3, feature_slicing(sd3.model, 1, 4))[0], plain, rtol=0, atol=1e-4)
    with pytest.raises(NodeError, match="SD3Transformer2DModel has none of ResnetBlock2D"):
        pictures(sd3, feature_slicing(sd3.model, 2, 1))
