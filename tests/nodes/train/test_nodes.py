import json

import pytest
from diffusers import AutoencoderKL

from latentloom.graph.files import Files
from latentloom.graph.progress import Cancelled, Progress
from latentloom.nodes.load.load_model import load_model
from latentloom.nodes.load.trained_model import trained_model
from latentloom.nodes.train.train_autoencoder import train_autoencoder
from latentloom.nodes.train.train_denoiser import train_denoiser
from latentloom.nodes.train.train_prompt_encoders import train_prompt_encoders
from latentloom.nodes.train.train_text_encoder import train_text_encoder
from latentloom.nodes.train.train_transformer import train_transformer


def test_three_nodes_make_a_model(tmp_path):
    files = Files(writing=tmp_path)
    told = []
    progress = Progress(on_step=lambda *news: told.append(news[:3]))
    autoencoder = train_autoencoder(steps=2, decoder_steps=1, batch=3, files=files, progress=progress)
    text = train_text_encoder(steps=2, batch=2, files=files, progress=progress)
    denoiser = train_denoiser(autoencoder.folder, text.folder, steps=2, batch=2, files=files, progress=progress)

    assert [told[0][:2], told[1][:2], told[2][:2]] == [(1, 2), (2, 2), (1, 1)]
    assert autoencoder.samples.pixels.shape == (8, 3, 64, 32)
    assert [series.name for series in autoencoder.losses.series] == ["whole", "decoder"]
    assert [row[0] for row in text.accuracy.rows] == ["slot", "shape", "colour", "size", "background"]
    assert denoiser.samples.pixels.shape == (16, 3, 32, 32)
    assert len(denoiser.losses.series[0].x) == 2
    index = json.loads((tmp_path / "train/shapes-unet/model_index.json").read_text())
    assert index["_class_name"] == "StableDiffusionPipeline"
    assert denoiser.folder.path == str(tmp_path / "train/shapes-unet")

    again = train_autoencoder(steps=2, decoder_steps=1, batch=3, files=files)
    assert again.folder == autoencoder.folder
    assert AutoencoderKL.from_pretrained(again.folder.path).config["scaling_factor"] == 1


def test_two_nodes_make_a_transformer_of_another_models_latents(tmp_path, tiny_sd):
    files = Files({"models": [tiny_sd.parent]}, writing=tmp_path)
    prompts = train_prompt_encoders(steps=2, second_steps=1, batch=2, files=files)
    made = train_transformer(load_model(tiny_sd.name, files=files), prompts.folder, steps=2, batch=2, files=files)
    assert [row[0] for row in prompts.accuracy.rows] == ["slot", "shape", "colour", "size", "background", "words"]
    assert [series.name for series in prompts.losses.series] == ["first", "second"]
    assert made.samples.pixels.shape == (16, 3, 32, 32)
    index = json.loads((tmp_path / "train/shapes-dit/model_index.json").read_text())
    assert index["_class_name"] == "StableDiffusion3Pipeline"
    assert trained_model(made.folder).family == "sd3"


def test_training_stops_when_cancelled(tmp_path):
    class Stopped(Progress):
        def stop_if_cancelled(self):
            raise Cancelled

    with pytest.raises(Cancelled):
        train_text_encoder(steps=50, batch=2, files=Files(writing=tmp_path), progress=Stopped())
    assert (tmp_path / "train/text/whole/checkpoint.safetensors").exists()
