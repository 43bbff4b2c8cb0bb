"""shapes-dit: it loads in the stock pipeline with nothing said, gives our picture there, and draws what is asked."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusion3Pipeline

from latentloom.graph.files import Files
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.image.decode import decode
from latentloom.nodes.load.load_model import load_model
from latentloom.nodes.noise.empty_latent import empty_latent
from latentloom.nodes.noise.gaussian_noise import gaussian_noise
from latentloom.nodes.prompt.encode_prompt import encode_prompt
from latentloom.nodes.sample.denoise import denoise
from latentloom.nodes.schedule.schedule import schedule
from latentloom.nodes.shapes.caption import caption, request_of
from latentloom.nodes.shapes.grade import grade_pictures, summary
from latentloom.nodes.shapes.scene import held_out_scenes
from latentloom.nodes.train.assemble import load_pipeline, sample_pictures
from latentloom.nodes.train.prompt_encoder import LENGTH
from latentloom.nodes.train.tokenizer import caption_words, new_tokenizer

MODEL = Path(__file__).parents[3] / "workflows" / "models" / "shapes-dit"
PROMPT = "a large red circle left of a small blue square on a white background"


def test_it_is_small_and_holds_no_pickle():
    files = [path for path in MODEL.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 40_000_000
    assert {path.suffix for path in files} == {".json", ".md", ".safetensors"}


def test_its_tokenizers_are_the_one_made_here():
    pipeline = load_pipeline(MODEL)
    for loaded in (pipeline.tokenizer, pipeline.tokenizer_2):
        assert loaded.model_max_length == LENGTH
        assert loaded(caption_words()).input_ids == new_tokenizer(LENGTH)(caption_words()).input_ids


def test_the_stock_pipeline_gives_our_picture():
    model = load_model(MODEL.name, files=Files({"models": [MODEL.parent]}))
    noise, words = gaussian_noise(empty_latent(model), 3), encode_prompt(model, PROMPT)
    assert words.tokens.shape[1] == LENGTH + 1  # one zero stands for what T5 does not say
    made = denoise(model, noise, words, schedule=schedule(10), guidance=cfg(2))
    ours = decode(model, made.latent).pixels
    pipeline: Any = StableDiffusion3Pipeline.from_pretrained(MODEL, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)

    def stock(**options):
        options = {"num_inference_steps": 10, "guidance_scale": 2, "output_type": "pt", **options}
        return pipeline(PROMPT, generator=[torch.Generator().manual_seed(3)], **options).images

    assert (ours - stock(max_sequence_length=1)).abs().max() <= 1e-4
    # By default it puts 256 zeros there, which the network has learnt to pass over, all but a little.
    assert (ours - stock()).abs().mean() <= 2e-3


def test_it_draws_what_is_asked():
    requests = [request_of(scene) for scene in held_out_scenes(16, "shipped")]
    texts = [caption(request) for request in requests]
    marks = summary(grade_pictures(sample_pictures(MODEL, texts, max_sequence_length=1), requests))
    assert marks["background"] == 1
    assert min(marks["colour"], marks["place"], marks["relation"]) >= 0.8


@pytest.mark.parametrize("prompt", ["", "a red circle", "a photograph of a dog"])
def test_any_prompt_gives_a_picture(prompt):
    picture = sample_pictures(MODEL, [prompt], steps=4, max_sequence_length=1)
    assert picture.shape == (1, 3, 32, 32)
    assert torch.isfinite(picture).all() and picture.std() > 0.01
