"""Each layout gives the weights that the library that writes it gives."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from adapters import ATTENTION, CONVOLUTIONS, as_diffusers, as_kohya, deltas, factors, layers, opened, product, stored
from adapters import write as written
from hypothesis import HealthCheck, settings
from hypothesis import given as whatever
from hypothesis import strategies as st
from studio import Studio

from latentloom.graph.node import NodeError
from latentloom.nodes.lora.reading import _ENDINGS
from latentloom.nodes.lora.skeleton import skeleton

EVERYWHERE = (*ATTENTION, *CONVOLUTIONS)


def close(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, delta in expected.items():
        assert torch.allclose(found[name], delta, rtol=1e-5, atol=1e-6), name


def test_the_skeleton_is_that_of_the_live_parts(studio: Studio) -> None:
    for part, shapes in skeleton(studio.model).items():
        live = dict(getattr(studio.pipeline, part).named_modules())
        kinds = (torch.nn.Linear, torch.nn.Conv2d)
        assert shapes == {name: m.weight.shape for name, m in live.items() if isinstance(m, kinds)}


@pytest.mark.parametrize("family", ["sd", "sdxl", "sd3", "flux"])
def test_diffusers_and_kohya_layouts_of_all_families(
    family: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    studio = request.getfixturevalue(family)
    given = factors(layers(studio.model, EVERYWHERE), rank=3)
    assert {name.partition(".")[0] for name in given} >= {"text_encoder"}
    expected = {name: product(*each) for name, each in given.items()}
    close(deltas(stored(studio, tmp_path / "a", as_diffusers(given))), expected)
    close(deltas(stored(studio, tmp_path / "b", as_kohya(given))), expected)
    halved = {name: 0.5 * delta for name, delta in expected.items()}
    close(deltas(stored(studio, tmp_path / "c", as_kohya(given, alpha=1.5))), halved)


def test_the_layout_of_diffusers_own_older_versions(sd: Studio, tmp_path: Path) -> None:
    given = factors(layers(sd.model, ("to_q", "to_out.0", "q_proj")))
    old = {}
    for name, (down, up) in given.items():
        if name.startswith("unet"):
            at, _, last = name.removesuffix(".0").rpartition(".")
            base = f"{at}.processor.{last}_lora"
        else:
            base = f"{name}.lora_linear_layer"
        old |= {f"{base}.down.weight": down, f"{base}.up.weight": up}
    close(deltas(stored(sd, tmp_path, old)), {name: product(*each) for name, each in given.items()})


def test_names_of_the_original_code(sdxl: Studio, tmp_path: Path) -> None:
    """Those of Stable Diffusion XL's UNet; this tiny one has one layer a block."""
    shapes = layers(sdxl.model, parts=["unet"])
    attention = "transformer_blocks.0.attn1.to_q"
    original = {
        f"unet.down_blocks.0.attentions.0.{attention}": "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q",
        f"unet.mid_block.attentions.0.{attention}": "lora_unet_middle_block_1_transformer_blocks_0_attn1_to_q",
        f"unet.up_blocks.1.attentions.1.{attention}": "lora_unet_output_blocks_3_1_transformer_blocks_0_attn1_to_q",
    }
    given = factors({name: shapes[name] for name in original})
    lora = stored(sdxl, tmp_path, as_kohya(given, 2.0, original.__getitem__))
    close(deltas(lora), {name: product(*each) for name, each in given.items()})


def test_names_of_the_original_code_of_flux(flux: Studio, tmp_path: Path) -> None:
    shapes = layers(flux.model, parts=["transformer"])
    width = shapes["transformer.transformer_blocks.0.attn.to_q"][1]
    qkv = {"qkv": torch.Size([3 * width, width])}
    ((down, up),) = factors(qkv).values()
    name = "lora_unet_double_blocks_0_img_attn_qkv"
    kohya = {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up, f"{name}.alpha": torch.tensor(1.0)}
    thirds = (0.5 * product(down, up)).chunk(3)
    expected = {
        f"transformer.transformer_blocks.0.attn.{each}": thirds[i] for i, each in enumerate(("to_q", "to_k", "to_v"))
    }
    close(deltas(stored(flux, tmp_path, kohya)), expected)


@pytest.mark.parametrize("options", [{}, {"use_rslora": True}, {"use_dora": True}, {"lora_alpha": 7}])
def test_a_folder_of_peft_changes_weights_as_peft_does(options: dict[str, Any], sd: Studio, tmp_path: Path) -> None:
    """Also decomposed (DoRA) and rank-stabilised ones."""
    unet = copy.deepcopy(sd.pipeline.unet)
    base = {name: value.clone() for name, value in unet.state_dict().items()}
    config = peft.LoraConfig(
        **{"r": 4, "lora_alpha": 2, "target_modules": list(EVERYWHERE), "rank_pattern": {"to_q": 2}, **options},
        init_lora_weights=False,
    )
    torch.manual_seed(0)
    adapted = peft.get_peft_model(unet, config)
    for name, value in adapted.named_parameters():
        if "magnitude" in name:
            value.data.mul_(1.3)
    adapted.save_pretrained(str(tmp_path / "adapter"))
    merged = adapted.merge_and_unload().state_dict()
    lora = opened(sd.model, tmp_path / "adapter")
    changes = lora.load()["unet"]
    assert len(changes) > 20
    for name, change in changes.items():
        weight = base[f"{name}.weight"]
        assert torch.allclose(weight + change.delta(weight), merged[f"{name}.weight"], rtol=0, atol=1e-6), name


@pytest.mark.parametrize("kind", ["LoHaConfig", "LoKrConfig"])
def test_hadamard_and_kronecker_products_as_peft_computes_them(kind: str, sd: Studio, tmp_path: Path) -> None:
    unet = copy.deepcopy(sd.pipeline.unet)
    base = {name: value.clone() for name, value in unet.state_dict().items()}
    torch.manual_seed(0)
    targets = ["to_q", "to_v", "conv1"]
    config = getattr(peft, kind)(
        r=4, alpha=2, target_modules=targets, init_weights=False, use_effective_conv2d=kind == "LoKrConfig"
    )
    adapted = peft.get_peft_model(unet, config)
    adapted.save_pretrained(str(tmp_path / "adapter"))
    merged = adapted.merge_and_unload().state_dict()
    for name, change in opened(sd.model, tmp_path / "adapter").load()["unet"].items():
        weight = base[f"{name}.weight"]
        assert torch.allclose(weight + change.delta(weight), merged[f"{name}.weight"], rtol=0, atol=1e-5), name


def test_kohyas_decomposed_layers_are_scaled_along_their_axis(sd: Studio, tmp_path: Path) -> None:
    shapes = layers(sd.model, ("attn2.to_k",), ["unet"])
    (name, shape), *_ = shapes.items()
    given = factors({name: shape})
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(5))
    moved = weight + product(*given[name])
    for axis, size in ((0, (shape[0], 1)), (1, (1, shape[1]))):
        scale = torch.rand(size) + 0.5
        tensors = {**as_kohya(given), f"lora_unet_{name[5:].replace('.', '_')}.dora_scale": scale}
        change = stored(sd, tmp_path / str(axis), tensors).load()["unet"][name[5:]]
        expected = moved * scale / moved.norm(dim=1 - axis, keepdim=True)
        assert torch.allclose(weight + change.delta(weight), expected, atol=1e-5)


def test_what_diffusers_tells_of_scales_in_the_header_counts(sd: Studio, tmp_path: Path) -> None:
    given = factors(layers(sd.model, ("to_q",), ["unet"]), rank=4)
    expected = {name: product(*each) for name, each in given.items()}
    lora = stored(sd, tmp_path, as_diffusers(given), unet={"r": 4, "lora_alpha": 8, "use_rslora": True})
    close(deltas(lora), {name: 8 / 4**0.5 * delta for name, delta in expected.items()})


# ---------------------------------------------------------------- what is refused


def test_all_that_is_wrong_is_told_at_once(sd: Studio, tmp_path: Path) -> None:
    given = factors(layers(sd.model, ("to_q",), ["unet"]))
    (name, (down, up)), *_ = given.items()
    tensors = {
        **as_diffusers({name: (down[:, :-1], up)}),
        "unet.nowhere.lora_A.weight": down,
        "unet.nowhere.lora_B.weight": up,
        "unet.conv_in.lora_mid.weight": down,
        "unet.conv_out.lora_A.weight": down,
    }
    path = written(tmp_path, tensors)
    with pytest.raises(NodeError) as caught:
        opened(sd.model, path)
    for part in (name, "unet.nowhere", "lora_mid", "unet.conv_out has down, which together"):
        assert part in str(caught.value)


def test_a_layer_that_is_changed_twice_is_told(sd: Studio, tmp_path: Path) -> None:
    given = factors(layers(sd.model, ("q_proj",), ["text_encoder"]))
    (name, _), *_ = given.items()
    both = {**as_kohya(given), **as_diffusers({name: given[name]})}
    with pytest.raises(NodeError, match=f"changes {name} twice"):
        stored(sd, tmp_path, both)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@whatever(data=st.data())
def test_whatever_stands_in_a_file_is_read_or_refused_with_a_sentence(data: st.DataObject, sd: Studio) -> None:
    """Of any tensors by the names of layers there are: never an error of another kind, and what is read fits."""
    shape = st.lists(st.integers(0, 17), max_size=5)
    endings = st.sampled_from(sorted(_ENDINGS))
    bases = st.sampled_from(["unet.conv_in", "unet.mid_block.attentions.0.proj_in", "lora_unet_conv_out", "a.b"])
    drawn = data.draw(st.dictionaries(st.tuples(bases, endings), shape, min_size=1, max_size=6))
    tensors = {f"{base}{ending}": torch.ones(size) for (base, ending), size in drawn.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), tensors)
        try:
            found = opened(sd.model, path)
        except NodeError as error:
            assert str(error)
        else:
            assert deltas(found)


def test_a_lora_of_another_family_is_refused(sd: Studio, flux: Studio, tmp_path: Path) -> None:
    tensors = as_diffusers(factors(layers(flux.model, ("to_q",), ["transformer"])))
    with pytest.raises(NodeError, match="Stable Diffusion 1 and 2"):
        stored(sd, tmp_path, tensors)
    with pytest.raises(NodeError, match="which is no LoRA of Flux"):
        stored(flux, tmp_path, as_kohya(factors(layers(sd.model, ("to_q",), ["unet"]))))


def test_decomposed_layers_by_fluxs_original_names_are_refused(flux: Studio, tmp_path: Path) -> None:
    tensors = {"lora_unet_double_blocks_0_img_attn_qkv.dora_scale": torch.ones(96, 1)}
    with pytest.raises(NodeError, match="only plain LoRA can be taken apart"):
        stored(flux, tmp_path, tensors)


def test_pickles_and_missing_files_are_refused(sd: Studio, tmp_path: Path) -> None:
    (tmp_path / "style.pt").write_bytes(b"PK\x03\x04")
    with pytest.raises(NodeError, match="never from pickles"):
        opened(sd.model, tmp_path / "style.pt")
    with pytest.raises(NodeError, match=r"Did you mean 'style\.pt'"):
        opened(sd.model, tmp_path / "styles.pt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NodeError, match="holds no LoRA"):
        opened(sd.model, tmp_path / "empty")
