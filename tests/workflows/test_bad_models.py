"""Damaged, hostile and misnamed models, and sizes a model cannot make, give sentences on the command line."""

import pickle
import shutil
from pathlib import Path

import pytest


class Harmful:
    """Would write a file if it were unpickled."""

    def __reduce__(self):
        return Path.touch, (Path("unpickled"),)


@pytest.fixture
def model(tmp_path, tiny_sd) -> Path:
    return shutil.copytree(tiny_sd, tmp_path / "models/tiny")


@pytest.fixture
def run(cli, model):
    def call(*settings: str):
        changed = [part for setting in ("model.source=tiny", *settings) for part in ("--set", setting)]
        return cli("run", "text_to_image", "--models", model.parent, *changed)

    return call


def weights(model: Path) -> Path:
    return model / "unet/diffusion_pytorch_model.safetensors"


def test_a_truncated_file(run, model):
    whole = weights(model).read_bytes()
    for length in (0, 4, 100, len(whole) // 2, len(whole) - 1):
        weights(model).write_bytes(whole[:length])
        result = run()
        assert result.exit_code == 1 and "diffusion_pytorch_model.safetensors" in result.stderr
        assert "cut off" in result.stderr or "no safetensors" in result.stderr


def test_a_pickle_whatever_its_name(run, model, tmp_path):
    weights(model).write_bytes(pickle.dumps(Harmful()))
    result = run()
    assert result.exit_code == 1 and "pickle" in result.stderr
    weights(model).rename(model / "unet/diffusion_pytorch_model.bin")
    result = run()
    assert result.exit_code == 1 and "pickle" in result.stderr
    assert not list(tmp_path.rglob("unpickled"))


def test_a_model_that_is_not_there(run):
    result = run("model.source=tin")
    assert result.exit_code == 1 and "Did you mean 'tiny'" in result.stderr


@pytest.mark.parametrize("source", ["../models/tiny", "/etc", "a/../../b"])
def test_a_model_outside_the_folders(run, source):
    result = run(f"model.source={source}")
    assert result.exit_code in (1, 2) and "outside the folders" in result.stderr


def test_a_model_behind_a_link(run, model, tmp_path):
    outside = shutil.copytree(model, tmp_path / "outside")
    (model.parent / "link").symlink_to(outside)
    result = run("model.source=link")
    assert result.exit_code in (1, 2) and "by a link" in result.stderr


@pytest.mark.parametrize(
    ("setting", "code", "sentence"),
    [
        ("canvas.width=63", 1, "width 63 is not a multiple of 4"),
        ("canvas.height=30", 1, "height 30 is not a multiple of 4"),
        ("canvas.width=-64", 2, "width = -64"),
        ("schedule.steps=-5", 2, "steps = -5"),
        ("schedule.steps=0", 2, "steps = 0"),
        ("schedule.steps=NaN", 2, 'steps = "NaN"'),
        ("guidance.scale=NaN", 2, 'scale = "NaN"'),
        ("noise.seed=-1", 2, "seed = -1"),
        ("noise.seed=1e400", 2, "seed"),
        ("sampler.name=eulr", 2, "name"),
        ("sample.strength=2", 2, "strength = 2"),
        ("save.name=../x", 2, "without '..'"),
    ],
)
def test_values_out_of_range(run, setting, code, sentence):
    result = run(setting)
    assert result.exit_code == code and sentence in result.stderr


def test_models_are_listed_and_bad_ones_told(cli, model):
    result = cli("models", "--models", model.parent)
    assert result.exit_code == 0 and "32 x 32" in result.stdout and "tiny" in result.stdout
    weights(model).write_bytes(b"")
    result = cli("models", "--models", model.parent)
    assert result.exit_code == 0 and "Not usable" in result.stdout and "no safetensors" in result.stdout
