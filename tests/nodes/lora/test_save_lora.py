"""What is written is read back the same, here and by diffusers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from adapters import ATTENTION, CONVOLUTIONS, as_diffusers, as_kohya, deltas, factors, layers, opened, stored
from adapters import write as written
from safetensors.torch import load_file
from studio import Studio

from latentloom.graph.files import Files
from latentloom.graph.node import NodeError
from latentloom.nodes.lora.change import Decomposed
from latentloom.nodes.lora.lora import Lora
from latentloom.nodes.lora.merge_loras import merge_loras
from latentloom.nodes.lora.save_lora import save_lora


def saved(lora: Lora, folder: Path, **options: Any) -> Path:
    save_lora(lora, "lora", **options, files=Files(writing=folder))
    return folder / "lora.safetensors"


def equal(one: Lora, other: Lora) -> bool:
    found, expected = deltas(one), deltas(other)
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)


def test_kohya_to_diffusers_to_kohya_keeps_every_delta(studio: Studio, tmp_path: Path) -> None:
    """Every bit of it, and every alpha; layers have ranks and alphas of their own."""
    shapes = layers(studio.model, (*ATTENTION, *CONVOLUTIONS))
    one = {name: shape for name, shape in shapes.items() if "attn" in name}
    rest = {name: shape for name, shape in shapes.items() if name not in one}
    tensors = {
        **as_kohya(factors(one, rank=3), alpha=1.7),
        **as_kohya(factors(rest, rank=2, seed=1)),
    }
    first = stored(studio, tmp_path / "first", tensors)
    second = opened(studio.model, saved(first, tmp_path / "second"))
    third_path = saved(second, tmp_path / "third", layout="kohya")
    third = opened(studio.model, third_path)
    assert equal(second, first) and equal(third, first)
    again = load_file(third_path)
    for name, value in tensors.items():
        here = name if name in again else name.replace("lora_te1_", "lora_te_")
        assert torch.equal(again[here], value), name


@pytest.mark.parametrize("layout", ["diffusers", "kohya"])
def test_diffusers_loads_what_is_saved(layout: Any, sd: Studio, tmp_path: Path) -> None:
    """With its alphas, in the denoiser and the text encoder. Where a kohya file has different alphas, diffusers lets
    those of attention layers drop, so that there all are alike."""
    shapes = layers(sd.model)
    some = dict(list(shapes.items())[::2])
    others = {name: shape for name, shape in shapes.items() if name not in some}
    alpha = 3.0 if layout == "diffusers" else 0.6
    tensors = {**as_kohya(factors(some), alpha=0.6), **as_kohya(factors(others, rank=4), alpha=alpha)}
    lora = stored(sd, tmp_path / "lora", tensors)
    pipeline: Any = diffusers.DiffusionPipeline.from_pretrained(sd.folder, dtype=torch.float32)
    pipeline.load_lora_weights(saved(lora, tmp_path / "saved", layout=layout), adapter_name="one")
    expected = deltas(lora)
    assert {name.partition(".")[0] for name in expected} == {"unet", "text_encoder"}
    for name, delta in expected.items():
        part, _, module = name.partition(".")
        found = getattr(pipeline, part).get_submodule(module).get_delta_weight("one")
        assert torch.allclose(found, delta, atol=1e-6), name


def test_decomposed_ones_keep_their_magnitudes(sd: Studio, tmp_path: Path) -> None:
    given = factors(layers(sd.model, ("to_q", "conv1"), ["unet"]))
    tensors = as_diffusers(given)
    generator = torch.Generator().manual_seed(1)
    for name, (_, up) in given.items():
        tensors[f"{name}.lora_magnitude_vector"] = torch.rand(len(up), generator=generator) + 0.5
    first = stored(sd, tmp_path / "first", tensors)
    kohya = opened(sd.model, saved(first, tmp_path / "kohya", layout="kohya"))
    back = opened(sd.model, saved(kohya, tmp_path / "back"))
    changes = [lora.load()["unet"] for lora in (first, kohya, back)]
    for name, change in changes[0].items():
        weight = torch.randn(
            *(change.delta(torch.ones(given[f"unet.{name}"][1].shape[0], *given[f"unet.{name}"][0].shape[1:]))).shape
        )
        assert isinstance(change, Decomposed)
        assert torch.equal(changes[1][name].delta(weight), change.delta(weight))
        assert torch.equal(changes[2][name].delta(weight), change.delta(weight))


def test_other_products_stay_what_they_are_in_kohyas_layout(sd: Studio, tmp_path: Path) -> None:
    shapes = dict(list(layers(sd.model, ("to_q", "conv1"), ["unet"]).items())[:4])
    tensors = {}
    for number, (name, shape) in enumerate(shapes.items()):
        base = f"lora_unet_{name[5:].replace('.', '_')}"
        inputs = shape[1:].numel()
        if number % 2:
            ends = (shape[0], 2), (2, inputs)
            tensors |= {f"{base}.hada_w{i}_{'ab'[j]}": torch.randn(ends[j]) for i in (1, 2) for j in (0, 1)}
            tensors[f"{base}.alpha"] = torch.tensor(1.0)
        else:
            tensors |= {
                f"{base}.lokr_w1": torch.randn(2, 2),
                f"{base}.lokr_w2": torch.randn(shape[0] // 2, inputs // 2),
            }
    first = opened(sd.model, written(tmp_path / "first", tensors))
    assert equal(opened(sd.model, saved(first, tmp_path / "second", layout="kohya")), first)
    with pytest.raises(NodeError, match="for which diffusers' layout has no place"):
        saved(first, tmp_path / "third")
    merged = merge_loras((first,), method="svd", rank=200)
    kept = deltas(opened(sd.model, saved(merged, tmp_path / "third")))
    assert all(torch.allclose(kept[name], delta, atol=1e-4) for name, delta in deltas(first).items())


def test_the_precision_is_chosen(sd: Studio, tmp_path: Path) -> None:
    given = factors(layers(sd.model, ("to_q",), ["unet"]))
    lora = stored(sd, tmp_path / "lora", as_kohya(given, alpha=1.3))
    for layout in ("diffusers", "kohya"):
        tensors = load_file(saved(lora, tmp_path / layout, layout=layout, precision="float16"))
        assert {value.dtype for value in tensors.values() if value.ndim} == {torch.float16}
        assert all(value.item() == pytest.approx(1.3) for value in tensors.values() if not value.ndim)
    huge = {name: (1e5 * down, up) for name, (down, up) in given.items()}
    with pytest.raises(NodeError, match="float16 cannot hold"):
        saved(stored(sd, tmp_path / "huge", as_diffusers(huge)), tmp_path / "out", precision="float16")


def test_kohyas_names_are_those_of_stable_diffusion(flux: Studio, tmp_path: Path) -> None:
    lora = stored(flux, tmp_path, as_diffusers(factors(layers(flux.model, ("to_q",), ["transformer"]))))
    with pytest.raises(NodeError, match="take diffusers' layout"):
        saved(lora, tmp_path / "out", layout="kohya")
    assert equal(opened(flux.model, saved(lora, tmp_path / "out")), lora)
