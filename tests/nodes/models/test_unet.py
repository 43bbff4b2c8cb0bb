"""One call evaluates all branches, with the arguments and so the numbers of the stock pipelines."""

from typing import Any

import pytest
import torch

from latentloom.graph.files import Files
from latentloom.graph.node import NodeError
from latentloom.nodes.load.load_model import load_model
from latentloom.nodes.models.live import use
from latentloom.nodes.models.unet import guidance_embedding
from latentloom.nodes.prompt.encode_prompt import encode_prompt
from latentloom.nodes.types import Conditioning


def heard(pipeline: Any, **options: Any) -> list[tuple[tuple[Any, ...], dict[str, Any], torch.Tensor]]:
    """What the stock pipeline gave its UNet at each step, and what it got back."""
    calls = []
    hook = pipeline.unet.register_forward_hook(
        lambda _, args, kwargs, out: calls.append((args, kwargs, out[0])), with_kwargs=True
    )
    pipeline.set_progress_bar_config(disable=True)
    pipeline(num_inference_steps=2, output_type="latent", generator=torch.Generator().manual_seed(0), **options)
    hook.remove()
    return calls


@pytest.mark.parametrize(("images", "negative"), [(1, ""), (3, "blue, dark")])
@pytest.mark.parametrize("size", [(32, 32), (24, 40)])
def test_the_stock_pipelines_predictions(pair, images, negative, size):
    model, pipeline = pair
    options = {"prompt": "a red circle", "negative_prompt": negative, "num_images_per_prompt": images}
    calls = heard(pipeline, guidance_scale=5.0, height=size[0], width=size[1], **options)
    branches = [encode_prompt(model, negative), encode_prompt(model, "a red circle")]
    with torch.no_grad(), use(model) as parts:
        predict = parts.family.predictor(parts, (images, 4, size[0] // 4, size[1] // 4))
        for (latents, timestep), _, predicted in calls:
            ours = predict(latents.chunk(2)[0], timestep, branches)
            assert torch.equal(torch.cat(ours), predicted)


def test_one_call_for_all_branches(pair):
    model, _ = pair
    branches = [encode_prompt(model, text) for text in ("", "a red circle", "a ring BREAK a cross")]
    sample = torch.randn(2, 4, 8, 8)
    with torch.no_grad(), use(model) as parts:
        calls = []
        hook = parts.unet.register_forward_hook(lambda *_: calls.append(1))
        predict = parts.family.predictor(parts, sample.shape)
        together = predict(sample, 500, branches)
        assert len(calls) == 1
        alone = [predict(sample, 500, [branch])[0] for branch in branches]
        hook.remove()
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(together, alone, strict=True))
    assert not torch.allclose(together[0], together[1], atol=1e-3)


def test_each_image_may_have_its_prompt(pair):
    model, _ = pair
    sample = torch.randn(2, 4, 8, 8)
    with torch.no_grad(), use(model) as parts:
        both = parts.family.encode(parts, ["a red circle", "a blue ring"])
        together = parts.family.predictor(parts, sample.shape)(sample, 500, [both])[0]
        for i, text in enumerate(("a red circle", "a blue ring")):
            one = parts.family.predictor(parts, (1, 4, 8, 8))(sample[i : i + 1], 500, [encode_prompt(model, text)])[0]
            assert torch.allclose(together[i], one[0], atol=1e-5)


def test_conditions_made_anew_at_every_step_are_not_mixed_up(pair):
    model, _ = pair
    base, sample = encode_prompt(model, "a red circle"), torch.randn(1, 4, 8, 8)
    with torch.no_grad(), use(model) as parts:
        predict = parts.family.predictor(parts, sample.shape)
        seen = [predict(sample, 500, [Conditioning(base.tokens * k, base.pooled)])[0] for k in range(20)]
        for k, ours in enumerate(seen):
            fresh = parts.family.predictor(parts, sample.shape)
            assert torch.equal(ours, fresh(sample, 500, [Conditioning(base.tokens * k, base.pooled)])[0])


def test_gradients_reach_the_sample(pair):
    model, _ = pair
    sample = torch.randn(1, 4, 8, 8, requires_grad=True)
    prompt = encode_prompt(model, "a red circle")
    with use(model) as parts:
        parts.family.predictor(parts, sample.shape)(sample, 500, [prompt])[0].sum().backward()
    assert sample.grad is not None and sample.grad.abs().sum() > 0


def test_half_precision_comes_back_as_the_sample_was(pair, monkeypatch):
    from latentloom.nodes.models import live, runtime
    from latentloom.nodes.models.pool import Pool

    model, _ = pair
    sample, prompt = torch.randn(1, 4, 8, 8), encode_prompt(model, "a red circle")
    with torch.no_grad(), use(model) as parts:
        full = parts.family.predictor(parts, sample.shape)(sample, 500, [prompt])[0]
    monkeypatch.setattr(live, "POOL", Pool())
    monkeypatch.setattr(runtime, "settings", runtime.RuntimeSettings("cpu", dtype="bfloat16"))
    with torch.no_grad(), use(model) as parts:
        half = parts.family.predictor(parts, sample.shape)(sample, 500, [prompt])[0]
    assert half.dtype == torch.float32 and 0 < (half - full).abs().max() < 0.2 * full.abs().max()


@pytest.mark.parametrize("attention", ["native", "_native_math"])
def test_pytorchs_attention_kernels(pair, attention, monkeypatch):
    from latentloom.nodes.models import live, runtime
    from latentloom.nodes.models.pool import Pool

    model, _ = pair
    sample, prompt = torch.randn(1, 4, 8, 8), encode_prompt(model, "a red circle")
    with torch.no_grad(), use(model) as parts:
        plain = parts.family.predictor(parts, sample.shape)(sample, 500, [prompt])[0]
    monkeypatch.setattr(live, "POOL", Pool())
    monkeypatch.setattr(runtime, "settings", runtime.RuntimeSettings("cpu", attention=attention))
    with torch.no_grad(), use(model) as parts:
        chosen = parts.family.predictor(parts, sample.shape)(sample, 500, [prompt])[0]
    assert torch.allclose(chosen, plain, atol=1e-5)


def test_what_does_not_fit_is_told(pair, tiny_sd, tiny_sdxl):
    model, _ = pair
    other = tiny_sdxl if model.family == "sd" else tiny_sd
    stranger = encode_prompt(load_model(other.name, files=Files({"models": [other.parent]})), "a red circle")
    with torch.no_grad(), use(model) as parts:
        with pytest.raises(NodeError, match="encode"):
            parts.family.predictor(parts, (1, 4, 8, 8))(torch.randn(1, 4, 8, 8), 500, [stranger])
        with pytest.raises(NodeError, match="The latent has 16 channels"):
            parts.family.predictor(parts, (1, 16, 8, 8))


def test_a_guidance_distilled_model_is_told_the_scale(tiny_sd, tmp_path):
    """Against the stock pipeline, which such a model asks for one branch only."""
    import json
    import shutil

    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline

    shutil.copytree(tiny_sd, tmp_path / "lcm")
    config = json.loads((tiny_sd / "unet" / "config.json").read_text())
    torch.manual_seed(0)
    unet: Any = UNet2DConditionModel.from_config({**config, "time_cond_proj_dim": 10})
    with torch.no_grad():
        unet.time_embedding.cond_proj.weight.normal_()
    unet.save_pretrained(tmp_path / "lcm" / "unet")
    model = load_model("lcm", files=Files({"models": [tmp_path]}))
    pipeline = StableDiffusionPipeline.from_pretrained(tmp_path / "lcm", dtype=torch.float32)
    calls = heard(pipeline, prompt="a red circle", guidance_scale=7.5, num_images_per_prompt=2)
    prompt = encode_prompt(model, "a red circle")
    with torch.no_grad(), use(model) as parts:
        assert parts.description.guidance_embedded
        predict = parts.family.predictor(parts, (2, 4, 8, 8), guidance_scale=7.5)
        for (latents, timestep), _, predicted in calls:
            assert torch.equal(predict(latents, timestep, [prompt])[0], predicted)
        other = parts.family.predictor(parts, (2, 4, 8, 8), guidance_scale=2.0)
        assert not torch.allclose(other(latents, timestep, [prompt])[0], predicted, atol=1e-3)


def test_the_guidance_embedding_is_diffusers(tiny_sd):
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline

    stock = StableDiffusionPipeline.get_guidance_scale_embedding
    for width in (8, 9, 256):
        theirs = stock(None, torch.tensor([6.5]), embedding_dim=width)  # pyright: ignore[reportArgumentType]
        assert torch.equal(guidance_embedding(6.5, width), theirs)
