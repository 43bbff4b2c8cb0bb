"""The autoencoder both ways, against the stock pipelines."""

import pytest
import torch

from latentloom.graph.files import Files
from latentloom.graph.node import NodeError
from latentloom.nodes.image.decode import decode
from latentloom.nodes.image.encode_image import encode_image
from latentloom.nodes.load.load_model import load_model
from latentloom.nodes.types import Image, Latent


def test_decoding_is_the_stock_pipelines(pair):
    model, pipeline = pair
    latents = torch.randn(3, 4, 6, 10)
    with torch.no_grad():
        decoded = pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor, return_dict=False)[0]
    theirs = pipeline.image_processor.postprocess(decoded, output_type="pt")
    ours = decode(model, Latent(latents)).pixels
    assert ours.shape == (3, 3, 24, 40) and ours.dtype == torch.float32 and torch.equal(ours, theirs)
    assert ours.min() >= 0 and ours.max() <= 1


@pytest.mark.parametrize("images", [1, 3])
def test_encoding_is_the_stock_pipelines(pair, images, monkeypatch):
    from diffusers.pipelines.auto_pipeline import AutoPipelineForImage2Image

    model, pipeline = pair
    pipeline = AutoPipelineForImage2Image.from_pipe(pipeline)
    pixels = torch.rand(images, 3, 24, 40)
    # The stock pipeline mixes in noise of the first timestep; without it what it has encoded is left.
    monkeypatch.setattr(pipeline.scheduler, "add_noise", lambda latents, *_: latents)
    generators = [torch.Generator().manual_seed(5 + i) for i in range(images)]
    with torch.no_grad():
        theirs = pipeline.prepare_latents(
            pipeline.image_processor.preprocess(pixels),
            torch.tensor([999]),
            images,
            1,
            torch.float32,
            "cpu",
            generators,
        )
    assert torch.equal(encode_image(model, Image(pixels), seed=5).samples, theirs)


def test_each_image_of_a_batch_has_its_own_seed(pair):
    model, _ = pair
    pixels = torch.rand(3, 3, 32, 32)
    together = encode_image(model, Image(pixels), seed=5).samples
    for i in range(3):
        alone = encode_image(model, Image(pixels[i : i + 1]), seed=5 + i).samples
        assert torch.allclose(together[i], alone[0], atol=1e-6)
    assert not torch.equal(together, encode_image(model, Image(pixels), seed=6).samples)
    assert torch.equal(together, encode_image(model, Image(pixels), seed=5).samples)


def test_the_largest_seed(pair):
    model, _ = pair
    assert encode_image(model, Image(torch.rand(2, 3, 32, 32)), seed=2**63 - 1).samples.isfinite().all()


def test_channel_statistics_in_the_configuration_are_used(tiny_sdxl, tmp_path):
    """Some autoencoders of Stable Diffusion XL say mean and deviation of each channel."""
    import json
    import shutil

    shutil.copytree(tiny_sdxl, tmp_path / "model")
    config = tmp_path / "model" / "vae" / "config.json"
    mean, deviation = [0.1, 0.2, 0.3, 0.4], [1.0, 2.0, 3.0, 4.0]
    config.write_text(json.dumps({**json.loads(config.read_text()), "latents_mean": mean, "latents_std": deviation}))
    plain = load_model(tiny_sdxl.name, files=Files({"models": [tiny_sdxl.parent]}))
    model = load_model("model", files=Files({"models": [tmp_path]}))
    shift, scale = (torch.tensor(values).view(1, 4, 1, 1) for values in (mean, deviation))
    latents, pixels, factor = torch.randn(1, 4, 8, 8), Image(torch.rand(1, 3, 32, 32)), 0.6
    inner = latents * scale / factor + shift
    assert torch.allclose(
        decode(model, Latent(latents)).pixels, decode(plain, Latent(inner * factor)).pixels, atol=1e-5
    )
    drawn = encode_image(plain, pixels, seed=1).samples / factor
    assert torch.allclose(encode_image(model, pixels, seed=1).samples, (drawn - shift) * factor / scale, atol=1e-5)


def test_what_does_not_fit_is_told(pair):
    model, _ = pair
    with pytest.raises(NodeError, match=r"A picture of 42 x 31 cannot be encoded.*multiples of 4.*to 40 x 32"):
        encode_image(model, Image(torch.rand(1, 3, 31, 42)))
    with pytest.raises(NodeError, match="The latent has 16 channels"):
        decode(model, Latent(torch.randn(1, 16, 8, 8)))
