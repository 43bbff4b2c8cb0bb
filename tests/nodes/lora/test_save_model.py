"""A saved model is the one with LoRAs, for us and for the stock pipeline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from adapters import ATTENTION, CONVOLUTIONS, as_diffusers, factors, layers, stored
from safetensors.torch import load_file
from studio import Studio, open_studio

from latentloom.graph.files import Files
from latentloom.graph.node import NodeError
from latentloom.nodes.cache.deepcache import deepcache
from latentloom.nodes.load.trained_model import trained_model
from latentloom.nodes.lora.apply_lora import apply_lora
from latentloom.nodes.lora.lora import Lora
from latentloom.nodes.lora.save_model import save_model
from latentloom.nodes.schedule.schedule import schedule


@pytest.fixture
def lora(sd: Studio, tmp_path: Path) -> Lora:
    shapes = layers(sd.model, (*ATTENTION, *CONVOLUTIONS))
    return stored(sd, tmp_path / "lora", as_diffusers(factors(shapes, size=0.5)))


def test_it_draws_what_the_model_with_loras_draws(sd: Studio, lora: Lora, tmp_path: Path) -> None:
    model = apply_lora(apply_lora(sd.model, lora, 0.5, way="beside"), lora, 0.3)
    folder = save_model(model, "models/new", "float32", files=Files(writing=tmp_path))
    with_loras = replace(sd, model=model).ours(schedule=schedule(3))
    again = replace(sd, model=trained_model(folder)).ours(schedule=schedule(3))
    assert torch.allclose(again, with_loras, atol=1e-5)
    studio = open_studio(Path(folder.path))
    stock = studio.stock(studio.pipeline.scheduler, num_inference_steps=3, guidance_scale=7.5)
    assert torch.allclose(stock, again, atol=1e-4)


def test_without_loras_it_is_the_model(sd: Studio, tmp_path: Path) -> None:
    folder = Path(save_model(sd.model, "new", "float32", files=Files(writing=tmp_path)).path)
    for file in sd.folder.rglob("*.safetensors"):
        before, after = load_file(file), load_file(folder / file.relative_to(sd.folder))
        assert before.keys() == after.keys()
        assert all(torch.equal(after[name], value) for name, value in before.items())
    halved = Path(save_model(sd.model, "half", files=Files(writing=tmp_path)).path)
    values = load_file(halved / "unet" / "diffusion_pytorch_model.safetensors").values()
    assert {value.dtype for value in values} == {torch.float16}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["half", "new"]


def test_what_is_no_weight_is_refused(sd: Studio, lora: Lora, tmp_path: Path) -> None:
    files = Files(writing=tmp_path / "out")
    with pytest.raises(NodeError, match="take DeepCache off"):
        save_model(deepcache(sd.model), files=files)
    with pytest.raises(NodeError, match="follows a curve"):
        save_model(apply_lora(sd.model, lora, curve=[(0.0, 1.0), (1.0, 0.0)]), files=files)
    save_model(sd.model, files=files)
    with pytest.raises(NodeError, match="is there already"):
        save_model(sd.model, files=files)
