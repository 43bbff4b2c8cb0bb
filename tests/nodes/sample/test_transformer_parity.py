"""Transformers: our pictures against those of the stock pipelines, to 1e-4 on [0, 1] in float32 as for UNets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from studio import NEGATIVE, PROMPT, SEED, Studio, open_studio
from tiny import FACTOR, SIZE, T5_LENGTH, build_flux, build_pixart, build_sd3
from torch import Tensor

from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.schedule.sampler import sampler
from latentloom.nodes.schedule.schedule import schedule
from latentloom.nodes.types import Latent, Mask

STEPS, SCALE, TOLERANCE = 5, 5.0, 1e-4
FAMILIES = ["sd3", "flux", "pixart"]
STRAIGHT = {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": 3.0}


@pytest.fixture(params=FAMILIES)
def any_studio(request: pytest.FixtureRequest) -> Studio:
    return request.getfixturevalue(request.param)


def own(studio: Studio) -> Any:
    """The scheduler in the model's folder."""
    config = configuration(studio)
    return getattr(diffusers, config["_class_name"]).from_config(config)


def configuration(studio: Studio) -> dict[str, Any]:
    return json.loads((studio.folder / "scheduler" / "scheduler_config.json").read_text("utf-8"))


def assert_equal(ours: Tensor, stock: Tensor) -> None:
    assert ours.shape == stock.shape
    assert (ours - stock).abs().max().item() <= TOLERANCE


@pytest.mark.parametrize("negative", [None, NEGATIVE])
@pytest.mark.parametrize("batch", [1, 3])
def test_text_to_image(any_studio: Studio, batch: int, negative: str | None) -> None:
    options: dict[str, Any] = {"negative": negative}
    stock_options: dict[str, Any] = {"negative": negative, "guidance_scale": SCALE}
    if any_studio.model.family == "flux" and negative is not None:
        options["distilled_guidance"], stock_options = 3.0, {**stock_options, "true_cfg_scale": SCALE}
        stock_options["guidance_scale"] = 3.0
    if any_studio.model.family == "pixart" and negative is None:
        stock_options["negative"] = ""
    ours = any_studio.ours(batch, schedule=schedule(STEPS), guidance=cfg(SCALE), **options)
    assert_equal(ours, any_studio.stock(own(any_studio), batch, num_inference_steps=STEPS, **stock_options))


def test_the_models_own_choices(any_studio: Studio) -> None:
    """Nothing wired: 25 steps, and the guidance scale that is the stock pipeline's own default."""
    stock = any_studio.stock(own(any_studio), negative=None if "flux" in str(any_studio.folder) else "")
    assert any_studio.usual.get("num_inference_steps") is None
    ours = any_studio.ours(schedule=schedule(20 if any_studio.model.family == "pixart" else 28))
    assert_equal(ours, stock)


@pytest.mark.parametrize("size", [(48, 32), (24, 40)])
def test_other_sizes(any_studio: Studio, size: tuple[int, int]) -> None:
    ours = any_studio.ours(noise=any_studio.noise(2, size=size), schedule=schedule(STEPS), guidance=cfg(SCALE))
    options = {"height": size[0], "width": size[1], "num_inference_steps": STEPS, "guidance_scale": SCALE}
    negative = "" if any_studio.model.family == "pixart" else None
    assert_equal(ours, any_studio.stock(own(any_studio), 2, negative=negative, **options))


def test_without_t5(tmp_path: Path) -> None:
    """Zeros stand for it, as many as the stock pipeline puts there."""
    folder = build_sd3(tmp_path / "no-t5", t5=False)
    studio = open_studio(folder, parts={"text_encoder_3": None, "tokenizer_3": None})
    ours = studio.ours(2, negative=NEGATIVE, schedule=schedule(3), guidance=cfg(SCALE))
    stock = studio.stock(own(studio), 2, negative=NEGATIVE, num_inference_steps=3, guidance_scale=SCALE)
    assert_equal(ours, stock)


def test_flux_schnell(tmp_path: Path) -> None:
    """Distilled to few steps: no guidance at all, times not shifted."""
    studio = open_studio(
        build_flux(tmp_path / "schnell", guidance_embeds=False),
        max_sequence_length=T5_LENGTH,
        height=SIZE,
        width=SIZE,
    )
    ours = studio.ours(2, schedule=schedule(4))
    assert_equal(ours, studio.stock(own(studio), 2, num_inference_steps=4, guidance_scale=0.0))


def test_pixart_alpha(tmp_path: Path) -> None:
    """Its network is told the picture's size, and it reads fewer tokens."""
    size = {"height": 24, "width": 40, "use_resolution_binning": False, "clean_caption": False}
    studio = open_studio(build_pixart(tmp_path / "alpha", alpha=True), max_sequence_length=T5_LENGTH, **size)
    noise = studio.noise(2, size=(24, 40))
    ours = studio.ours(noise=noise, negative=NEGATIVE, schedule=schedule(STEPS), guidance=cfg(SCALE))
    stock = studio.stock(own(studio), 2, negative=NEGATIVE, num_inference_steps=STEPS, guidance_scale=SCALE)
    assert_equal(ours, stock)


FLOW_STOCK: dict[str, tuple[str, dict[str, Any]]] = {
    "euler": ("FlowMatchEulerDiscreteScheduler", {}),
    "heun": ("FlowMatchHeunDiscreteScheduler", {}),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", STRAIGHT),
    "dpmpp_2s": ("DPMSolverSinglestepScheduler", STRAIGHT),
    "unipc": ("UniPCMultistepScheduler", STRAIGHT),
}


@pytest.mark.parametrize("name", FLOW_STOCK)
def test_samplers_of_a_straight_path(sd3: Studio, name: Any) -> None:
    class_name, choices = FLOW_STOCK[name]
    config = configuration(sd3)
    chosen = getattr(diffusers, class_name).from_config(config, **choices)
    ours = sd3.ours(2, sampler=sampler(name), schedule=schedule(6), guidance=cfg(SCALE))
    assert_equal(ours, sd3.stock(chosen, 2, num_inference_steps=6, guidance_scale=SCALE))


@pytest.mark.parametrize("shaping", ["karras", "exponential", "beta"])
def test_shaping_a_straight_path(sd3: Studio, shaping: Any) -> None:
    config = configuration(sd3)
    chosen = diffusers.FlowMatchEulerDiscreteScheduler.from_config(config, **{f"use_{shaping}_sigmas": True})
    ours = sd3.ours(schedule=schedule(STEPS, shaping=shaping), guidance=cfg(SCALE))
    assert_equal(ours, sd3.stock(chosen, num_inference_steps=STEPS, guidance_scale=SCALE))


def test_exact_times_of_a_straight_path(sd3: Studio) -> None:
    """They are what the network is told: a stock scheduler that shifts nothing takes them as they are."""
    times = (1000, 820, 510, 90)
    config = configuration(sd3)
    chosen = diffusers.FlowMatchEulerDiscreteScheduler.from_config(config, shift=1.0)
    ours = sd3.ours(schedule=schedule(timesteps=times), guidance=cfg(SCALE))
    assert_equal(ours, sd3.stock(chosen, sigmas=[time / 1000 for time in times], guidance_scale=SCALE))


@pytest.mark.parametrize("family", ["sd3", "pixart"])
def test_dynamic_shifts_and_other_schedulers(tmp_path: Path, family: str) -> None:
    if family == "sd3":
        folder = build_sd3(tmp_path / "dynamic", use_dynamic_shifting=True, base_shift=0.3, max_shift=2.0)
        studio = open_studio(folder, max_sequence_length=T5_LENGTH)
        ours = studio.ours(2, schedule=schedule(STEPS), guidance=cfg(SCALE))
        stock = studio.stock(own(studio), 2, num_inference_steps=STEPS, guidance_scale=SCALE)
    else:
        studio = open_studio(
            build_pixart(tmp_path / "dynamic"),
            max_sequence_length=T5_LENGTH,
            use_resolution_binning=False,
            clean_caption=False,
        )
        euler = diffusers.EulerDiscreteScheduler.from_config(configuration(studio))
        ours = studio.ours(2, sampler=sampler("euler"), schedule=schedule(STEPS), guidance=cfg(SCALE))
        stock = studio.stock(euler, 2, negative="", num_inference_steps=STEPS, guidance_scale=SCALE)
    assert_equal(ours, stock)


@pytest.mark.parametrize("family", ["sd3", "flux"])
@pytest.mark.parametrize(("name", "strength"), [("euler", 0.6), ("euler", 0.3), ("euler", 1.0), ("heun", 0.6)])
def test_image_to_image(request: pytest.FixtureRequest, family: str, name: Any, strength: float) -> None:
    studio: Studio = request.getfixturevalue(family)
    if (family, name) == ("flux", "heun"):
        pytest.skip("the stock pipeline gives its scheduler times that Heun's does not take")
    config = configuration(studio)
    original = some_latent(2)
    ours = studio.ours(
        2,
        latent=Latent(original),
        strength=strength,
        sampler=sampler(name),
        schedule=schedule(STEPS),
        guidance=cfg(SCALE),
    )
    stock = studio.stock(
        getattr(diffusers, FLOW_STOCK[name][0]).from_config(config),
        2,
        pipeline=studio.stock_like("AutoPipelineForImage2Image"),
        image=original,
        strength=strength,
        num_inference_steps=STEPS,
        guidance_scale=SCALE,
    )
    assert_equal(ours, stock)


@pytest.mark.parametrize("family", ["sd3", "flux"])
@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_inpainting(flux: Studio, tmp_path: Path, family: str, strength: float) -> None:
    studio = flux
    if family == "sd3":  # its pipeline paints in models of 16 channels alone, and decodes as if they had no mean
        folder = build_sd3(tmp_path / "sd3", channels=16, shift_factor=0.0)
        studio = open_studio(folder, max_sequence_length=T5_LENGTH)
    original = some_latent(2, 16 if family == "sd3" else 4)
    mask = torch.zeros(1, 1, SIZE, SIZE)
    mask[..., 4:20, 8:] = 1
    pipeline = studio.stock_like("AutoPipelineForInpainting")
    # It takes pictures alone, and would draw from the generators to encode them.
    pipeline._encode_vae_image = lambda image, generator: original
    ours = studio.ours(
        2,
        latent=Latent(original),
        mask=Mask(mask),
        strength=strength,
        schedule=schedule(STEPS),
        guidance=cfg(SCALE),
    )
    stock = studio.stock(
        own(studio),
        2,
        pipeline=pipeline,
        image=torch.zeros(2, 3, SIZE, SIZE),
        mask_image=mask,
        height=SIZE,
        width=SIZE,
        strength=strength,
        num_inference_steps=STEPS,
        guidance_scale=SCALE,
    )
    assert_equal(ours, stock)


def test_the_pipelines_read_the_same_prompt(any_studio: Studio) -> None:
    """The tests above would pass with networks deaf to their prompts."""
    usual = any_studio.stock(own(any_studio), num_inference_steps=2, negative="")
    any_studio.pipeline.scheduler = own(any_studio)
    other = any_studio.pipeline(
        f"{PROMPT} not",
        generator=[torch.Generator().manual_seed(SEED)],
        num_inference_steps=2,
        negative_prompt="",
        output_type="pt",
        **any_studio.usual,
    ).images
    assert (usual - other).abs().max() > 0.01


def some_latent(batch: int, channels: int = 4) -> Tensor:
    return torch.randn(batch, channels, SIZE // FACTOR, SIZE // FACTOR, generator=torch.Generator().manual_seed(5))
