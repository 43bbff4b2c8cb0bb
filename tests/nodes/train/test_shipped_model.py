from pathlib import Path

import pytest
import torch

from latentloom.nodes.shapes.caption import caption, request_of
from latentloom.nodes.shapes.grade import grade_pictures, summary
from latentloom.nodes.shapes.scene import held_out_scenes
from latentloom.nodes.train.assemble import load_pipeline, sample_pictures
from latentloom.nodes.train.tokenizer import caption_words, new_tokenizer

MODEL = Path(__file__).parents[3] / "workflows" / "models" / "shapes-unet"


def test_it_is_small_and_holds_no_pickle():
    files = [path for path in MODEL.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 40_000_000
    assert {path.suffix for path in files} == {".json", ".md", ".safetensors"}


def test_its_tokenizer_is_the_one_made_here():
    loaded = load_pipeline(MODEL).tokenizer
    assert loaded.model_max_length == 77
    assert loaded(caption_words()).input_ids == new_tokenizer()(caption_words()).input_ids


def test_it_draws_what_is_asked():
    requests = [request_of(scene) for scene in held_out_scenes(16, "shipped")]
    pictures = sample_pictures(MODEL, [caption(request) for request in requests], guidance=2.0)
    marks = summary(grade_pictures(pictures, requests))
    assert marks["background"] == 1
    assert min(marks["colour"], marks["place"], marks["relation"], marks["count"]) >= 0.85
    assert marks["shape"] >= 0.7


@pytest.mark.parametrize("prompt", ["", "a red circle", "a photograph of a dog"])
def test_any_prompt_gives_a_picture(prompt):
    picture = sample_pictures(MODEL, [prompt], steps=4)
    assert picture.shape == (1, 3, 32, 32)
    assert torch.isfinite(picture).all() and picture.std() > 0.01
