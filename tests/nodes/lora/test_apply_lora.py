"""A model with LoRAs draws what the stock pipeline with them draws, and is itself again afterwards."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from adapters import ATTENTION, CONVOLUTIONS, as_diffusers, as_kohya, factors, layers, stored
from studio import Studio
from torch import Tensor

from latentloom.graph.node import NodeError
from latentloom.graph.progress import Progress
from latentloom.nodes.cache.deepcache import deepcache
from latentloom.nodes.codec import TensorCodec
from latentloom.nodes.guidance.guide import Step
from latentloom.nodes.lora.applied import AppliedLora, Way
from latentloom.nodes.lora.apply_lora import apply_lora
from latentloom.nodes.lora.blend import fused
from latentloom.nodes.lora.change import Whole
from latentloom.nodes.lora.lora import Lora
from latentloom.nodes.lora.merge_loras import merge_loras
from latentloom.nodes.models.call import Call, under_way
from latentloom.nodes.models.live import use
from latentloom.nodes.schedule.schedule import schedule
from latentloom.nodes.types import Model

EVERYWHERE = (*ATTENTION, *CONVOLUTIONS)
SHORT: dict[str, Any] = {"schedule": schedule(3)}
WAYS: tuple[Way, ...] = ("fuse", "beside")

# what the stock pipelines say when they are given a second LoRA
pytestmark = pytest.mark.filterwarnings("ignore:Already found a `peft_config`:UserWarning")


def tensors(studio: Studio, seed: int = 0, **options: Any) -> dict[str, Tensor]:
    return as_diffusers(factors(layers(studio.model, EVERYWHERE, **options), seed=seed, size=0.5))


@pytest.fixture
def lora(sd: Studio, tmp_path: Path) -> Lora:
    return stored(sd, tmp_path / "lora", tensors(sd))


def with_model(studio: Studio, model: Model) -> Studio:
    return replace(studio, model=model)


def weights(model: Model) -> dict[str, Tensor]:
    """Copies of all weights a LoRA may change, as they are with `model` in use."""
    with use(model) as parts:
        live = {"unet": parts.unet, "text_encoder": parts.text_encoders[0]}
        return {f"{part}.{name}": value.clone() for part, m in live.items() for name, value in m.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


# ---------------------------------------------------------------- equal to the stock pipelines


@pytest.mark.parametrize("family", ["sd", "sdxl", "sd3", "flux"])
def test_several_are_what_the_stock_pipeline_draws_with_them(
    family: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Also in the text encoders; of those the stock pipeline for Flux takes LoRAs for the first alone."""
    studio = request.getfixturevalue(family)
    pipeline: Any = diffusers.DiffusionPipeline.from_pretrained(studio.folder, dtype=torch.float32)
    parts = {"flux": ["transformer", "text_encoder"]}.get(family, ())
    given = [as_diffusers(factors(layers(studio.model, ATTENTION, parts), seed=seed, size=0.5)) for seed in (0, 1)]
    for name, tensors in zip(("one", "two"), given, strict=True):
        pipeline.load_lora_weights(dict(tensors), adapter_name=name)
    pipeline.set_adapters(["one", "two"], [0.8, -0.5])
    scale = {"sd3": 7.0, "flux": 3.5}.get(family, 7.5)
    stock = studio.stock(pipeline.scheduler, pipeline=pipeline, num_inference_steps=3, guidance_scale=scale)
    assert (studio.ours(**SHORT) - stock).abs().max() > 1e-2
    loras = [stored(studio, tmp_path / name, tensors) for name, tensors in zip(("one", "two"), given, strict=True)]
    for way in WAYS:
        model = apply_lora(apply_lora(studio.model, loras[0], 0.8, way=way), loras[1], -0.5, way=way)
        assert (with_model(studio, model).ours(**SHORT) - stock).abs().max() <= 1e-5
    cat = apply_lora(studio.model, merge_loras(tuple(loras), [0.8, -0.5]))
    assert (with_model(studio, cat).ours(**SHORT) - stock).abs().max() <= 1e-5


def test_a_text_encoder_alone(sd: Studio, tmp_path: Path) -> None:
    given = as_diffusers(factors(layers(sd.model, ATTENTION, ["text_encoder"])))
    pipeline: Any = diffusers.DiffusionPipeline.from_pretrained(sd.folder, dtype=torch.float32)
    pipeline.load_lora_weights(dict(given), adapter_name="one")
    pipeline.set_adapters(["one"], [0.7])
    stock = sd.stock(pipeline.scheduler, pipeline=pipeline, num_inference_steps=3, guidance_scale=7.5)
    assert (sd.ours(**SHORT) - stock).abs().max() > 1e-2
    lora = stored(sd, tmp_path, given)
    for way in WAYS:
        model = apply_lora(sd.model, lora, strength=5.0, text_strength=0.7, way=way)
        assert (with_model(sd, model).ours(**SHORT) - stock).abs().max() <= 1e-5


# ---------------------------------------------------------------- neutral, and gone afterwards


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "settings",
    [
        {"strength": 0.0},
        {"strength": 1.0, "blocks": "unet = 0\ntext_encoder = 0"},
        {"strength": 1.0, "text_strength": 0.0, "curve": [(0.0, 0.0)]},
    ],
)
def test_a_strength_of_zero_changes_nothing(settings: dict[str, Any], way: Way, sd: Studio, lora: Lora) -> None:
    assert torch.equal(with_model(sd, apply_lora(sd.model, lora, **settings, way=way)).ours(**SHORT), sd.ours(**SHORT))


@pytest.mark.parametrize("way", WAYS)
def test_afterwards_every_weight_is_what_it_was(way: Way, sd: Studio, lora: Lora) -> None:
    plain, before = weights(sd.model), sd.ours(**SHORT)
    model = apply_lora(apply_lora(sd.model, lora, 0.3, way=way), lora, 0.4, curve=[(0.0, 0.2), (1.0, 1.0)], way=way)
    assert same(weights(model), plain) is (way == "beside")
    with_model(sd, model).ours(**SHORT)
    assert same(weights(sd.model), plain)
    assert torch.equal(sd.ours(**SHORT), before)


@pytest.mark.parametrize("way", WAYS)
def test_after_an_error_too(way: Way, sd: Studio, lora: Lora, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = weights(sd.model)
    model = apply_lora(sd.model, lora, way=way, curve=[(0.0, 1.0), (1.0, 0.5)])

    def stop(done: int, *_: Any) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        with_model(sd, model).sample(**SHORT, progress=Progress(stop))
    assert same(weights(sd.model), plain)

    changes = dict(lora.load()["unet"])
    changes[list(changes)[-1]] = Whole(torch.ones(3))
    monkeypatch.setattr(type(lora), "load", lambda self: {"unet": changes})
    with pytest.raises(RuntimeError, match="shape"):
        weights(replace(sd.model, patches=(AppliedLora(lora, way=way),)))
    assert same(weights(sd.model), plain)


def test_in_half_precision_what_was_added_leaves_nothing() -> None:
    """Subtracting it again would."""
    layer = torch.nn.Linear(16, 16, dtype=torch.bfloat16)
    module, before, deltas = torch.nn.Sequential(layer), layer.weight.detach().clone(), torch.randn(2, 16, 16)
    with fused(module, {"0": Whole(deltas[0])}, lambda name: 0.5):
        with fused(module, {"0": Whole(deltas[1])}, lambda name: 0.25):
            assert torch.equal(layer.weight, (before.float() + 0.5 * deltas[0] + 0.25 * deltas[1]).bfloat16())
        assert torch.equal(layer.weight, (before.float() + 0.5 * deltas[0]).bfloat16())
    assert torch.equal(layer.weight, before)


def test_image_to_image_then_text_to_image_is_text_to_image(sd: Studio, lora: Lora) -> None:
    changed = with_model(sd, apply_lora(sd.model, lora, curve=[(0.0, 0.2), (1.0, 1.0)]))
    alone = changed.sample(**SHORT)
    changed.sample(**SHORT, latent=alone, strength=0.5)
    assert torch.equal(changed.sample(**SHORT).samples, alone.samples)


# ---------------------------------------------------------------- by block and by step


@pytest.mark.parametrize("way", WAYS)
def test_the_last_line_that_fits_a_layer_counts(way: Way, sd: Studio, lora: Lora) -> None:
    blocks = "unet.down_blocks = 0.5\nunet.*.attn2.* = 0\n text_encoder=2 "
    model = apply_lora(sd.model, lora, 0.5, blocks=blocks, way="fuse")
    plain, changed = weights(sd.model), weights(model)
    for part, changes in lora.load().items():
        for name, change in changes.items():
            whole = f"{part}.{name}"
            factor = 2 if part == "text_encoder" else 0.5 if "down_blocks" in name else 1
            factor = 0 if ".attn2." in name else factor
            before = plain[f"{whole}.weight"]
            expected = before + 0.5 * factor * change.delta(before)
            assert torch.allclose(changed[f"{whole}.weight"], expected, atol=1e-6), whole
    one = with_model(sd, apply_lora(sd.model, lora, 0.5, blocks=blocks, way=way)).ours(**SHORT)
    assert torch.allclose(one, with_model(sd, model).ours(**SHORT), atol=1e-5)


def test_the_weights_follow_the_curve(sd: Studio, lora: Lora) -> None:
    """Of two with curves of their own, at the steps of a run."""
    patches = (
        AppliedLora(lora, curve=((0.0, 0.0), (0.5, 1.0), (1.0, 1.0))),
        AppliedLora(lora, strength=2.0, curve=((0.0, 1.0), (1.0, 0.0))),
    )
    name, change = next(iter(lora.load()["unet"].items()))
    plain = weights(sd.model)[f"unet.{name}.weight"]
    steps = [Step(i, 5, torch.tensor(900 - 100 * i), 1.0) for i in range(5)]
    expected = [0.0 + 2.0, 0.5 + 1.5, 1.0 + 1.0, 1.0 + 0.5, 1.0 + 0.0]
    sample, counts = torch.randn(1, 4, 8, 8), Counter()
    with use(replace(sd.model, patches=patches)) as parts, torch.no_grad():
        weight = parts.unet.get_submodule(name).weight
        for at, factor in enumerate(expected):
            with under_way(Call(steps, at, (), counts)):
                parts.unet(sample, 900, encoder_hidden_states=torch.randn(1, 5, 16))
            assert torch.allclose(weight, plain + factor * change.delta(plain), atol=1e-5), at
    assert counts == {"LoRA weights computed anew": 5}


def test_a_curve_counts(sd: Studio, lora: Lora) -> None:
    def drawn(way: Way = "auto", **settings: Any) -> Tensor:
        return with_model(sd, apply_lora(sd.model, lora, **settings, way=way)).sample(**SHORT).samples

    whole, text_only = drawn(), drawn(strength=0.0, text_strength=1.0)
    assert torch.equal(drawn(curve=[(0.3, 1.0)]), whole)
    assert torch.equal(drawn(curve=[(0.0, 0.0), (1.0, 0.0)]), text_only)
    half = drawn(curve=[(0.4, 1.0), (0.6, 0.0)])
    assert not torch.allclose(half, whole, atol=1e-3) and not torch.allclose(half, text_only, atol=1e-3)
    assert torch.allclose(drawn("beside", curve=[(0.4, 1.0), (0.6, 0.0)]), half, atol=1e-4)


# ---------------------------------------------------------------- with others


def test_it_goes_with_deepcache(sd: Studio, lora: Lora) -> None:
    """Whichever is put on first."""
    first = deepcache(apply_lora(sd.model, lora, 0.7), interval=2)
    found = with_model(sd, first).sample(**SHORT).samples
    for way in WAYS:
        last = apply_lora(deepcache(sd.model, interval=2), lora, 0.7, way=way)
        assert torch.allclose(with_model(sd, last).sample(**SHORT).samples, found, atol=1e-4)
    assert not torch.allclose(with_model(sd, deepcache(sd.model, interval=2)).sample(**SHORT).samples, found, atol=1e-2)


def test_a_recipe_is_hashed_and_kept(sd: Studio, lora: Lora) -> None:
    model = apply_lora(sd.model, lora, 0.5, blocks="unet = 0.5", curve=[(1.0, 0.0), (0.0, 1.0)])
    again = TensorCodec().decode(TensorCodec().encode(model))
    assert again == model and hash(again) == hash(model)
    (patch,) = model.patches
    assert isinstance(patch, AppliedLora) and patch.curve == ((0.0, 1.0), (1.0, 0.0))
    assert json.dumps(patch.blocks)


def test_offloaded_weights_hold_nothing(sd: Studio, lora: Lora) -> None:
    with use(sd.model) as parts:
        away = type(parts.unet).from_config(parts.unet.config).to("meta")
    with AppliedLora(lora).attach("unet", away):
        assert any(module._forward_hooks for module in away.modules())
    assert not any(module._forward_hooks for module in away.modules())
    with pytest.raises(NodeError, match="are offloaded"), AppliedLora(lora, way="fuse").attach("unet", away):
        pass


# ---------------------------------------------------------------- what is refused


def test_what_does_not_fit_is_told(sd: Studio, sdxl: Studio, lora: Lora) -> None:
    with pytest.raises(NodeError, match="do not fit, such as that of"):
        apply_lora(sdxl.model, lora)
    with pytest.raises(NodeError, match=r"changes no layer called 'unet\.down_block'\. Did you mean"):
        apply_lora(sd.model, lora, blocks="unet.down_block = 0.5")
    with pytest.raises(NodeError) as caught:
        apply_lora(sd.model, lora, blocks="unet\nunet = half")
    assert len(str(caught.value).splitlines()) == 2
    with pytest.raises(NodeError, match=r"two points at 0\.5"):
        apply_lora(sd.model, lora, curve=[(0.5, 1.0), (0.5, 0.0)])


def test_a_kohya_file_is_the_same_lora(sd: Studio, tmp_path: Path) -> None:
    given = factors(layers(sd.model, EVERYWHERE), rank=4)
    one = stored(sd, tmp_path / "a", as_kohya(given, alpha=2.0))
    other = stored(sd, tmp_path / "b", as_diffusers({name: (0.5 * down, up) for name, (down, up) in given.items()}))
    assert torch.equal(
        with_model(sd, apply_lora(sd.model, one)).ours(**SHORT),
        with_model(sd, apply_lora(sd.model, other)).ours(**SHORT),
    )
