import torch

from latentloom.nodes.train.assemble import assemble, load_pipeline
from latentloom.nodes.train.autoencoder import new_autoencoder
from latentloom.nodes.train.denoiser import (
    Frozen,
    encode_chunk,
    encode_texts,
    fit_denoiser,
    new_denoiser,
    stratified,
)
from latentloom.nodes.train.pipelines import stable_diffusion
from latentloom.nodes.train.text_encoder import new_text_encoder
from latentloom.nodes.train.tokenizer import new_tokenizer

TINY = {"steps": 4, "batch": 4, "channels": (16, 16), "chunk": 8, "passes": 1}


def frozen() -> Frozen:
    torch.manual_seed(0)
    tokenizer = new_tokenizer()
    encoder = new_text_encoder(tokenizer, width=16, layers=1, heads=2).eval()
    return Frozen(new_autoencoder(32, (8, 8, 16)).eval(), encoder, tokenizer)


def test_timesteps_are_stratified():
    times = stratified(10, 1000, torch.Generator().manual_seed(0))
    assert sorted((times // 100).tolist()) == list(range(10))


def test_chunks_repeat_from_their_stream():
    parts = frozen()
    first, second = (encode_chunk(parts, 4, "a") for _ in range(2))
    assert torch.equal(first.latents, second.latents) and torch.equal(first.hidden, second.hidden)
    assert first.latents.shape == (4, 4, 8, 8)
    assert first.hidden.shape == (4, 77, 16)


def test_a_killed_run_resumes_to_the_same_weights(tmp_path):
    _, whole = fit_denoiser(tmp_path / "whole", frozen(), **TINY)
    fit_denoiser(tmp_path / "killed", frozen(), **TINY, stop_after=3)
    _, resumed = fit_denoiser(tmp_path / "killed", frozen(), **TINY)
    assert resumed.losses == whole.losses
    assert all(torch.equal(resumed.weights[name], value) for name, value in whole.weights.items())


def test_the_folder_is_a_stock_pipeline(tmp_path):
    parts = frozen()
    denoiser = new_denoiser(8, (16, 16), 16).eval()
    folder = assemble(tmp_path / "model", stable_diffusion(parts, denoiser), "# A card")
    assert (folder / "README.md").read_text() == "# A card"
    assert not [path for path in folder.rglob("*") if path.suffix in (".bin", ".pt", ".part")]
    pipeline = load_pipeline(folder)
    assert pipeline.text_encoder.dtype == pipeline.unet.dtype == torch.float32
    assert pipeline.tokenizer.model_max_length == 77
    assert pipeline.vae_scale_factor == 4
    texts = ["a red circle"]
    expected = encode_texts(parts.encoder, parts.tokenizer, texts)
    assert (encode_texts(pipeline.text_encoder, pipeline.tokenizer, texts) - expected).abs().max() < 1e-2
    picture = pipeline("a red circle", num_inference_steps=2, output_type="pt").images
    assert picture.shape == (1, 3, 32, 32)
    assert denoiser.dtype == torch.float32
