"""The training workflow makes a model that the stock library loads, and goes on where it was stopped."""

import csv
import json

import pytest
from PIL import Image as Pillow

from latentloom.app.folders import SHIPPED

SETTINGS = {
    "autoencoder.steps": 4,
    "autoencoder.decoder_steps": 2,
    "autoencoder.batch": 4,
    "text.steps": 4,
    "text.batch": 4,
    "denoiser.steps": 4,
    "denoiser.batch": 4,
    "prompts.count": 4,
    "canvas.batch": 4,
    "schedule.steps": 2,
}


@pytest.mark.parametrize("name", sorted(f"train/{path.stem}" for path in SHIPPED.glob("train/*.json")))
def test_it_is_sound(cli, name):
    result = cli("check", name)
    assert result.exit_code == 0, result.output


def test_it_trains_a_model_that_the_stock_library_loads_and_grades_it(cli, tmp_path):
    settings = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    result = cli("run", "train/shapes_unet", *settings, "--json")
    assert result.exit_code == 0, result.output
    files = json.loads(result.stdout)["files"]
    assert {path.rsplit("/", 1)[-1] for path in files} == {
        "losses_0001.png",
        "autoencoder_0001.png",
        "samples_0001.png",
        "text_accuracy.csv",
        "grade.csv",
    }
    for path in files:
        if path.endswith(".png"):
            with Pillow.open(tmp_path / path) as picture:
                picture.load()
    with (tmp_path / "out/grade.csv").open(newline="") as file:
        rows = {row["attribute"]: row for row in csv.DictReader(file)}
    assert rows["everything"]["asked"] == "4" and rows["relation"]["asked"] == "2"

    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(tmp_path / "out/train/shapes-unet", safety_checker=None)
    assert pipeline.scheduler.config.prediction_type == "v_prediction"


def test_it_trains_the_network_that_compares(cli, tmp_path):
    result = cli("run", "train/shapes_features", "--set", "features.steps=3", "--set", "features.batch=4", "--json")
    assert result.exit_code == 0, result.output
    files = {path.rsplit("/", 1)[-1] for path in json.loads(result.stdout)["files"]}
    assert files == {"features_losses_0001.png", "features_accuracy.csv"}

    from latentloom.nodes.shapes.features import load

    first = load(tmp_path / "out/train/features/parts/model.safetensors").get_parameter("layers.0.weight")
    assert first.shape[0] == 16
    with (tmp_path / "out/train/features_accuracy.csv").open(newline="") as file:
        assert [row["answer"] for row in csv.DictReader(file)] == ["background", "colour", "shape", "size"]
