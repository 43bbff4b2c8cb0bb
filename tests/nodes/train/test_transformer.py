import math
from typing import Any

import torch

from latentloom.nodes.train.assemble import assemble, load_pipeline
from latentloom.nodes.train.autoencoder import new_autoencoder
from latentloom.nodes.train.padding import HEAVIEST, LastKeyWeighs, padding_weights
from latentloom.nodes.train.pipelines import stable_diffusion_3
from latentloom.nodes.train.prompt_encoder import LENGTH, new_prompt_encoder
from latentloom.nodes.train.tokenizer import new_tokenizer
from latentloom.nodes.train.transformer import (
    SHIFT,
    Readers,
    encode_lesson,
    fit_transformer,
    new_transformer,
    shifted_times,
)

TINY: dict[str, Any] = {"steps": 4, "batch": 4, "width": 16, "layers": 2, "heads": 2, "chunk": 8, "passes": 1}


def readers() -> Readers:
    torch.manual_seed(0)
    tokenizer = new_tokenizer(LENGTH)
    first, second = (new_prompt_encoder(tokenizer, width, 1, 2, pooled=8).eval() for width in (16, 8))
    return Readers(new_autoencoder(32, (8, 8, 16)).eval(), (first, second), tokenizer)


def awake(context: int = 24, pooled: int = 16):
    torch.manual_seed(1)
    model = new_transformer(8, 16, 2, 2, context, pooled).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def test_an_untrained_transformer_predicts_nothing():
    model = new_transformer(8, 16, 2, 2, 24, 16)
    out = model(torch.randn(1, 4, 8, 8), torch.randn(1, 5, 24), torch.randn(1, 16), torch.tensor([500.0])).sample
    assert out.abs().max() == 0


@torch.no_grad()
def test_one_heavy_token_is_as_many_as_it_weighs():
    model = awake()
    sample, tokens, pooled = torch.randn(2, 4, 8, 8), torch.randn(2, 5, 24), torch.randn(2, 16)
    times = torch.tensor([500.0, 900.0])
    many = [
        model(
            sample[i : i + 1],
            torch.cat((tokens[i : i + 1], torch.zeros(1, count, 24)), 1),
            pooled[i : i + 1],
            times[i : i + 1],
        ).sample
        for i, count in enumerate((7, 40))
    ]
    with LastKeyWeighs(torch.tensor([math.log(7), math.log(40)])):
        one = model(sample, torch.cat((tokens, torch.zeros(2, 1, 24)), 1), pooled, times).sample
    assert torch.allclose(one, torch.cat(many), atol=1e-5)
    light = model(sample, torch.cat((tokens, torch.zeros(2, 1, 24)), 1), pooled, times).sample
    assert not torch.allclose(one, light, atol=1e-3)


def test_padding_grows_heavy_by_and_by():
    first, last = (padding_weights(1000, step, torch.Generator().manual_seed(0)).max() for step in (0, 5000))
    assert first < 4.01 and HEAVIEST - 0.1 < last <= HEAVIEST


def test_times_lean_towards_the_noise():
    times = shifted_times(1000, torch.Generator().manual_seed(0)).sort().values
    assert times[0] > 0 and times[-1] < 1
    assert abs(times[500] - SHIFT * 0.5 / (1 + (SHIFT - 1) * 0.5)) < 2e-3


def test_lessons_repeat_from_their_stream():
    parts = readers()
    first, second = (encode_lesson(parts, 4, "a") for _ in range(2))
    assert torch.equal(first.latents, second.latents) and torch.equal(first.prompts.tokens, second.prompts.tokens)
    assert first.latents.shape == (4, 4, 8, 8)
    assert first.prompts.tokens.shape == (4, LENGTH, 24) and first.prompts.pooled.shape == (4, 16)


def test_a_killed_run_resumes_to_the_same_weights(tmp_path):
    _, whole = fit_transformer(tmp_path / "whole", readers(), **TINY)
    fit_transformer(tmp_path / "killed", readers(), **TINY, stop_after=3)
    model, resumed = fit_transformer(tmp_path / "killed", readers(), **TINY)
    assert resumed.losses == whole.losses
    assert all(torch.equal(resumed.weights[name], value) for name, value in whole.weights.items())
    assert torch.equal(model.state_dict()["proj_out.weight"], whole.weights["proj_out.weight"])


def test_the_folder_is_a_stock_pipeline(tmp_path):
    """It loads with nothing said, reads prompts as they were read in training, and puts zeros where T5's tokens are."""
    parts = readers()
    parts.autoencoder.register_to_config(_name_or_path=str(tmp_path))
    folder = assemble(tmp_path / "model", stable_diffusion_3(parts, awake()), "# A card")
    assert not [path for path in folder.rglob("*") if path.suffix in (".bin", ".pt", ".part")]
    assert "_name_or_path" not in (folder / "vae" / "config.json").read_text("utf-8")
    assert parts.autoencoder.config["shift_factor"] is None  # the part itself stays as it was
    pipeline = load_pipeline(folder)
    assert pipeline.transformer.dtype == pipeline.text_encoder_2.dtype == torch.float32
    tokens, _, pooled, _ = pipeline.encode_prompt("a red circle", None, None, do_classifier_free_guidance=False)
    expected = parts.read(["a red circle"])
    assert tokens.shape == (1, LENGTH + 256, 24)
    assert tokens[:, LENGTH:].abs().max() == 0
    assert (tokens[:, :LENGTH] - expected.tokens).abs().max() < 1e-2
    assert (pooled - expected.pooled).abs().max() < 1e-2
    picture = pipeline("a red circle", num_inference_steps=2, output_type="pt").images
    assert picture.shape == (1, 3, 32, 32)
