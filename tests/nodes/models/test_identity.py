"""A model is the same one wherever it stands, and another one as soon as its content differs."""

import os
import shutil

import pytest

from latentloom.nodes.models.identity import identity


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    (folder / "unet").mkdir(parents=True)
    (folder / "model_index.json").write_text("{}")
    (folder / "unet/weights.safetensors").write_bytes(bytes(range(256)) * 20_000)  # 5 MB
    (folder / "README.md").write_text("a card")
    return folder


def test_place_time_and_card_do_not_matter(model, tmp_path):
    other = shutil.copytree(model, tmp_path / "elsewhere/other")
    os.utime(other / "model_index.json", (1, 1))
    (other / "README.md").write_text("another card")
    assert identity(other) == identity(model) and identity(model).startswith("sampled-sha256:")


@pytest.mark.parametrize("place", [0, 500_000, 2_000_000 - 2_000_000 % 63_550, 5_119_999])
def test_other_weights_are_another_model(model, place):
    before = identity(model)
    weights = bytearray((model / "unet/weights.safetensors").read_bytes())
    weights[place : place + 100_000] = b"\7" * len(weights[place : place + 100_000])
    (model / "unet/weights.safetensors").write_bytes(weights)
    assert identity(model) != before


def test_another_configuration_name_or_size_is_another_model(model):
    seen = {identity(model)}
    (model / "model_index.json").write_text("{ }")
    seen.add(identity(model))
    (model / "unet/weights.safetensors").rename(model / "unet/other.safetensors")
    seen.add(identity(model))
    (model / "unet/other.safetensors").write_bytes(b"short")
    seen.add(identity(model))
    assert len(seen) == 4


def test_a_single_file_with_its_configuration(model):
    weights = model / "unet/weights.safetensors"
    assert identity(weights) != identity(weights, model)
