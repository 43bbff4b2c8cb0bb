"""A model is named, verified and described without its weights; what cannot be read is said in a sentence."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
from ldm import save_single_file

from latentloom.graph.files import FileRefused, Files
from latentloom.graph.node import NodeError
from latentloom.nodes.load.load_model import load_model
from latentloom.nodes.models import live
from latentloom.nodes.models.inspect import describe
from latentloom.nodes.models.pool import Pool


@pytest.fixture
def shelf(tmp_path: Path, tiny_sd: Path, tiny_sdxl: Path) -> Files:
    """A models folder with copies that a test may damage."""
    for source, name in ((tiny_sd, "small-sd"), (tiny_sdxl, "small-xl")):
        shutil.copytree(source, tmp_path / "models" / name)
    return Files({"models": [tmp_path / "models"]})


def folder(files: Files, name: str = "small-sd") -> Path:
    return files.find(name, "models")


def edit(path: Path, **values) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def refusal(*arguments, **named) -> str:
    with pytest.raises(NodeError) as caught:
        load_model(*arguments, **named)
    return str(caught.value)


def test_a_folder_by_its_name(shelf):
    sd, xl = load_model("small-sd", files=shelf), load_model("small-xl", files=shelf)
    assert (sd.family, xl.family) == ("sd", "sdxl")
    assert Path(sd.source).is_absolute() and Path(sd.source) == folder(shelf)
    assert sd == load_model("small-sd", files=shelf) and hash(sd)
    shown = describe(xl)
    assert (shown.default, shown.multiple, shown.latent_channels, shown.factor) == ((32, 32), 4, 4, 4)


def test_the_fingerprint_follows_the_files(shelf):
    before = load_model("small-sd", files=shelf)
    os.utime(folder(shelf) / "unet" / "diffusion_pytorch_model.safetensors", ns=(1, 1))
    after = load_model("small-sd", files=shelf)
    assert before.source == after.source and before.fingerprint != after.fingerprint


def test_a_folder_is_verified_without_pytorch(shelf):
    """Verifying must not wait for PyTorch, let alone load weights."""
    code = f"""
        import sys
        from pathlib import Path
        from latentloom.graph.files import Files
        from latentloom.nodes.load.load_model import load_model
        model = load_model("small-xl", files=Files({{"models": [Path({str(folder(shelf).parent)!r})]}}))
        from latentloom.nodes.models.inspect import describe
        describe(model)
        assert not {{"torch", "diffusers", "transformers"}} & set(sys.modules), "PyTorch was imported"
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


def test_a_name_that_is_not_there(shelf):
    said = refusal("smal-sd", files=shelf)
    assert "smal-sd" in said and "Did you mean 'small-sd'?" in said


@pytest.mark.parametrize("path", ["../models/small-sd", "/etc/passwd", "a/../../b", "C:\\models"])
def test_paths_beside_the_models_folder_are_refused(shelf, path):
    assert "outside" in (said := refusal(path, files=shelf)) or "not written as paths" in said


def test_a_hub_model_that_is_not_here(shelf):
    said = refusal("nobody/nothing", files=shelf)
    assert "nobody/nothing" in said and "cache" in said and "HF_HUB_OFFLINE" in said


def test_pickles_are_refused_with_the_way_out(shelf):
    weights = folder(shelf) / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    said = refusal("small-sd", files=shelf)
    assert "safetensors only" in said and "diffusion_pytorch_model.bin" in said and "save_pretrained" in said


@pytest.mark.parametrize("name", ["model.ckpt", "model.bin", "model.pt", "notes.txt"])
def test_a_single_file_must_be_safetensors(shelf, name):
    (folder(shelf).parent / name).write_bytes(b"\x80\x04.")
    assert "safetensors only" in refusal(name, files=shelf)


def test_a_pickle_is_told_by_its_content(shelf):
    path = folder(shelf).parent / "renamed.safetensors"
    torch.save({"weight": torch.zeros(2)}, path)
    assert "is a pickle by its content" in refusal("renamed.safetensors", files=shelf)
    path.write_bytes(pickle.dumps({"weight": [0.0]}, protocol=4))
    assert "is a pickle by its content" in refusal("renamed.safetensors", files=shelf)


def test_every_problem_is_told_at_once(shelf):
    base = folder(shelf, "small-xl")
    cut = base / "unet" / "diffusion_pytorch_model.safetensors"
    cut.write_bytes(cut.read_bytes()[:-10])
    (base / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    shutil.rmtree(base / "text_encoder_2")
    said = refusal("small-xl", files=shelf)
    assert "cut off" in said and "vae has no diffusion_pytorch_model.safetensors" in said
    assert "lacks text_encoder_2/config.json" in said


@pytest.mark.parametrize(
    ("part", "values", "told"),
    [
        (
            "model_index.json",
            {"_class_name": "FluxFillPipeline"},
            "is for FluxFillPipeline; supported are Stable Diffusion 1 and 2",
        ),
        ("model_index.json", {"_class_name": "StableDiffusionXLImg2ImgPipeline"}, "is the refiner"),
        ("model_index.json", {"requires_aesthetics_score": True}, "is the refiner"),
        ("unet/config.json", {"in_channels": 9}, "is an inpainting or editing model: its UNet takes 9 channels"),
        ("unet/config.json", {"addition_embed_type": "text_time"}, "none of Stable Diffusion 1 and 2's"),
        ("unet/config.json", {"sample_size": "large"}, "values are not those of Stable Diffusion 1 and 2"),
        ("vae/config.json", {"block_out_channels": 3}, "values are not those of Stable Diffusion 1 and 2"),
        ("vae/config.json", {"_class_name": "AutoencoderTiny"}, "has AutoencoderTiny as its vae"),
    ],
)
def test_other_kinds_of_model_are_refused(shelf, part, values, told):
    edit(folder(shelf) / part, **values)
    assert told in refusal("small-sd", files=shelf)


def test_a_folder_that_is_no_model(shelf):
    (folder(shelf).parent / "empty").mkdir()
    assert "no model_index.json" in refusal("empty", files=shelf)
    (folder(shelf) / "unet" / "config.json").write_text('{"in_channels": 4,')
    assert "is not JSON" in refusal("small-sd", files=shelf)


def test_half_precision_alone_is_read(shelf, monkeypatch):
    monkeypatch.setattr(live, "POOL", Pool())
    unet = folder(shelf) / "unet"
    (unet / "diffusion_pytorch_model.safetensors").rename(unet / "diffusion_pytorch_model.fp16.safetensors")
    with live.use(load_model("small-sd", files=shelf)) as parts:
        assert parts.unet.dtype == torch.float32


@pytest.mark.parametrize(("setting", "value"), [("revision", "main"), ("config", "small-sd")])
def test_settings_for_other_kinds_of_source_are_told(shelf, setting, value):
    assert setting in refusal("small-sd", files=shelf, **{setting: value})


# ---------------------------------------------------------------- single files


def single(files: Files, name: str) -> tuple[Path, Any]:
    """A single-file copy of a model, and the stock pipeline it was written from."""
    from diffusers.pipelines.auto_pipeline import AutoPipelineForText2Image

    pipeline: Any = AutoPipelineForText2Image.from_pretrained(folder(files, name), dtype=torch.float32)
    if name == "small-xl":
        # diffusers tells Stable Diffusion XL by the tenth layer of its second text encoder.
        from transformers import CLIPTextConfig, CLIPTextModelWithProjection

        config = CLIPTextConfig.from_pretrained(folder(files, name) / "text_encoder_2")
        config.num_hidden_layers = 10
        pipeline.text_encoder_2 = CLIPTextModelWithProjection(config).eval()
        pipeline.save_pretrained(folder(files, name))
    return save_single_file(pipeline, folder(files, name).parent / f"{name}.safetensors"), pipeline


@pytest.mark.parametrize("name", ["small-sd", "small-xl"])
def test_a_single_file_with_a_configuration_beside_it(shelf, name, monkeypatch):
    monkeypatch.setattr(live, "POOL", Pool())
    file, pipeline = single(shelf, name)
    model = load_model(f"{name}.safetensors", config=name, files=shelf)
    assert model.source == str(file) and model.config == str(folder(shelf, name))
    assert describe(model).default == (32, 32)
    with live.use(model) as parts:
        encoders = parts.text_encoders
        pairs = [(parts.unet, pipeline.unet), (parts.vae, pipeline.vae), (encoders[0], pipeline.text_encoder)]
        if name == "small-xl":
            pairs.append((encoders[1], pipeline.text_encoder_2))
        for ours, stock in pairs:
            assert ours.state_dict().keys() == stock.state_dict().keys()
            assert all(torch.equal(value, stock.state_dict()[key]) for key, value in ours.state_dict().items())
    read = {living.name.rsplit(" ", 1)[-1]: living.bytes for living in live.loaded()}
    from latentloom.nodes.models import loading
    from latentloom.nodes.models.layouts import LAYOUTS

    for part in LAYOUTS[model.family].weighted:  # the estimate made before loading, from the header alone
        assert loading.size(model, part, torch.float32) == pytest.approx(read[part.name], rel=0.02)


def test_a_single_file_whose_configuration_is_not_here(shelf):
    single(shelf, "small-sd")
    said = refusal("small-sd.safetensors", files=shelf)
    assert "stable-diffusion-v1-5" in said and "set config" in said


def test_a_single_file_with_the_wrong_configuration(shelf):
    single(shelf, "small-sd")
    said = refusal("small-sd.safetensors", config="small-xl", files=shelf)
    assert "Stable Diffusion 1 and 2" in said and "Stable Diffusion XL" in said


def test_a_file_that_holds_only_a_part(shelf):
    from safetensors.torch import save_file

    save_file({"lora_unet_mid.lora_up.weight": torch.zeros(2, 2)}, folder(shelf).parent / "lora.safetensors")
    said = refusal("lora.safetensors", files=shelf)
    assert "is no whole checkpoint" in said and "text_encoder (cond_stage_model.*)" in said


def test_a_file_of_another_family(shelf):
    from safetensors.torch import save_file

    flux = {"double_blocks.0.img_attn.norm.key_norm.scale": torch.zeros(2), "img_in.weight": torch.zeros(2, 64)}
    save_file(flux, folder(shelf).parent / "other.safetensors")
    said = refusal("other.safetensors", files=shelf)
    assert "of the kind flux" in said and "Single files are read of Stable Diffusion 1 and 2, " in said
    assert "Flux.1 (dev and schnell) and PixArt (Alpha and Sigma)) as folders" in said


def test_a_link_that_leads_out_of_the_models_folder(shelf, tmp_path):
    (tmp_path / "secret").mkdir()
    (folder(shelf).parent / "linked").symlink_to(tmp_path / "secret")
    with pytest.raises((NodeError, FileRefused), match="by a link"):
        load_model("linked", files=shelf)


# ---------------------------------------------------------------- transformers


@pytest.fixture
def transformers(tmp_path: Path) -> Files:
    from tiny import build_flux, build_pixart, build_sd3

    models = tmp_path / "models"
    build_sd3(models / "small-3")
    build_sd3(models / "small-3-without-t5", t5=False)
    build_flux(models / "small-flux")
    build_pixart(models / "small-pixart")
    return Files({"models": [models]})


def test_transformers_by_their_folders(transformers):
    found = {name: load_model(name, files=transformers).family for name in ("small-3", "small-flux", "small-pixart")}
    assert found == {"small-3": "sd3", "small-flux": "flux", "small-pixart": "pixart"}
    with live.use(load_model("small-3-without-t5", files=transformers)) as parts:
        assert len(parts.text_encoders) == len(parts.tokenizers) == 2
    with live.use(load_model("small-3", files=transformers)) as parts:
        assert [type(encoder).__name__ for encoder in parts.text_encoders][2] == "T5EncoderModel"


@pytest.mark.parametrize(
    ("name", "part", "values", "told"),
    [
        ("small-3", "transformer/config.json", {"in_channels": 33}, "its transformer takes 33 channels"),
        ("small-flux", "transformer/config.json", {"in_channels": 96}, "an inpainting or editing model"),
        ("small-flux", "model_index.json", {"_class_name": "FluxKontextPipeline"}, "is for FluxKontextPipeline"),
        (
            "small-3",
            "transformer/config.json",
            {"_class_name": "Transformer2DModel"},
            "read with SD3Transformer2DModel",
        ),
        ("small-pixart", "vae/config.json", {"latent_channels": 16}, "where its autoencoder makes 16"),
    ],
)
def test_other_transformers_are_refused(transformers, name, part, values, told):
    edit(folder(transformers, name) / part, **values)
    assert told in refusal(name, files=transformers)


@pytest.mark.parametrize("t5", [True, False])
def test_a_single_file_of_stable_diffusion_3(tmp_path, monkeypatch, t5):
    """It may lack T5, for which zeros then stand. diffusers tells its kind by the number of its layers."""
    from diffusers import StableDiffusion3Pipeline
    from ldm import save_single_file_3
    from tiny import build_sd3

    monkeypatch.setattr(live, "POOL", Pool())
    models = tmp_path / "models"
    pipeline: Any = StableDiffusion3Pipeline.from_pretrained(build_sd3(models / "3", layers=38), dtype=torch.float32)
    pipeline.text_encoder.text_projection.weight.data.copy_(torch.eye(16))
    save_single_file_3(pipeline, models / "3.safetensors", t5)
    model = load_model("3.safetensors", config="3", files=Files({"models": [models]}))
    assert model.family == "sd3"
    with live.use(model) as parts:
        encoders = parts.text_encoders
        assert len(encoders) == (3 if t5 else 2)
        stock = [pipeline.text_encoder, pipeline.text_encoder_2, pipeline.text_encoder_3]
        pairs = [(parts.denoiser, pipeline.transformer), (parts.vae, pipeline.vae), *zip(encoders, stock, strict=False)]
        for ours, theirs in pairs:
            assert ours.state_dict().keys() == theirs.state_dict().keys()
            assert all(torch.equal(value, theirs.state_dict()[key]) for key, value in ours.state_dict().items())


def test_a_transformer_whose_part_is_missing(transformers):
    shutil.rmtree(folder(transformers, "small-3") / "text_encoder_3")
    assert "lacks text_encoder_3/config.json" in refusal("small-3", files=transformers)


def test_a_gpu_takes_the_half_precision_a_model_was_published_for(monkeypatch):
    from latentloom.nodes.models import runtime
    from latentloom.nodes.models.layouts import LAYOUTS

    monkeypatch.setattr(runtime, "_missing", lambda device: [])
    wanted = runtime.RuntimeSettings("cuda:0")
    taken = {family: runtime.place(wanted, layout.half).dtype for family, layout in LAYOUTS.items()}
    runtime.place.cache_clear()  # this machine has no such GPU
    assert taken["sd"] == taken["sdxl"] == taken["pixart"] == torch.float16
    assert taken["sd3"] == taken["flux"] == torch.bfloat16
