"""Our pictures against those of the stock pipelines: same model, prompt, seeds, sampler, steps, guidance.

In float32 they may differ by 1e-4 at most, on [0, 1].
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import diffusers
import pytest
import torch
from studio import NEGATIVE, SEED, Studio, open_studio
from tiny import FACTOR, SIZE, build_sd
from torch import Tensor

from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.schedule.sampler import sampler
from latentloom.nodes.schedule.samplers import Name
from latentloom.nodes.schedule.schedule import schedule
from latentloom.nodes.types import Latent, Mask

STEPS, SCALE, TOLERANCE = 5, 5.0, 1e-4

# torchsde rounds the ends of its interval; the stock scheduler then asks for a little more.
pytestmark = pytest.mark.filterwarnings("ignore:Should have t[ab]<=t1:UserWarning")

STOCK: dict[str, tuple[str, dict[str, Any]]] = {
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_ancestral": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "lms": ("LMSDiscreteScheduler", {}),
    "ddim": ("DDIMScheduler", {}),
    "ddpm": ("DDPMScheduler", {}),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", {}),
    "dpmpp_2m_sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "dpmpp_2s": ("DPMSolverSinglestepScheduler", {}),
    "dpmpp_sde": ("DPMSolverSDEScheduler", {}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "lcm": ("LCMScheduler", {}),
    "tcd": ("TCDScheduler", {}),
}


def scheduler(studio: Studio, name: str, batch: int = 1, **choices: Any) -> Any:
    """The stock scheduler, made from the model's as its documentation says."""
    class_name, fixed = STOCK[name]
    if name == "dpmpp_sde":
        choices["noise_sampler_seed"] = list(range(SEED, SEED + batch))
    config = diffusers.DDIMScheduler.load_config(studio.folder / "scheduler")
    return getattr(diffusers, class_name).from_config(config, **fixed, **choices)


def assert_equal(ours: Tensor, stock: Tensor) -> None:
    assert ours.shape == stock.shape
    assert (ours - stock).abs().max().item() <= TOLERANCE


def test_every_sampler_is_compared() -> None:
    assert set(STOCK) == set(get_args(Name))


@pytest.mark.parametrize("negative", [None, NEGATIVE])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", STOCK)
def test_text_to_image(studio: Studio, name: Any, batch: int, negative: str | None) -> None:
    ours = studio.ours(batch, negative=negative, sampler=sampler(name), schedule=schedule(STEPS), guidance=cfg(SCALE))
    eta = {"eta": 0.3} if name == "tcd" else {}
    stock = studio.stock(
        scheduler(studio, name, batch),
        batch,
        negative=negative,
        num_inference_steps=STEPS,
        guidance_scale=SCALE,
        **eta,
    )
    assert_equal(ours, stock)


@pytest.mark.parametrize("scale", [1.0, SCALE])
@pytest.mark.parametrize("eta", [0.0, 0.6])
def test_eta_of_ddim(sd: Studio, eta: float, scale: float) -> None:
    ours = sd.ours(2, sampler=sampler("ddim", eta), schedule=schedule(STEPS), guidance=cfg(scale))
    stock = sd.stock(scheduler(sd, "ddim"), 2, num_inference_steps=STEPS, guidance_scale=scale, eta=eta)
    assert_equal(ours, stock)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_eta_of_tcd(sd: Studio, eta: float) -> None:
    ours = sd.ours(2, sampler=sampler("tcd", eta), schedule=schedule(4), guidance=cfg(1))
    stock = sd.stock(scheduler(sd, "tcd"), 2, num_inference_steps=4, guidance_scale=1.0, eta=eta)
    assert_equal(ours, stock)


def test_no_guidance(studio: Studio) -> None:
    ours = studio.ours(2, negative=NEGATIVE, sampler=sampler("euler"), schedule=schedule(STEPS), guidance=cfg(1))
    stock = studio.stock(
        scheduler(studio, "euler"), 2, negative=NEGATIVE, num_inference_steps=STEPS, guidance_scale=1.0
    )
    assert_equal(ours, stock)


def test_rescaled_guidance(studio: Studio) -> None:
    ours = studio.ours(2, sampler=sampler("euler"), schedule=schedule(STEPS), guidance=cfg(SCALE, 0.7))
    plain = studio.ours(2, sampler=sampler("euler"), schedule=schedule(STEPS), guidance=cfg(SCALE))
    stock = studio.stock(
        scheduler(studio, "euler"), 2, num_inference_steps=STEPS, guidance_scale=SCALE, guidance_rescale=0.7
    )
    assert_equal(ours, stock)
    assert (ours - plain).abs().max() > 0.01


@pytest.mark.parametrize(
    ("name", "shaping"),
    [
        ("dpmpp_2m", "karras"),
        ("dpmpp_2m", "exponential"),
        ("dpmpp_2m", "beta"),
        ("dpmpp_2m_sde", "karras"),
        ("dpmpp_sde", "karras"),
        ("euler", "beta"),
        ("heun", "karras"),
        ("unipc", "karras"),
    ],
)
def test_shaping(sd: Studio, name: Any, shaping: Any) -> None:
    ours = sd.ours(sampler=sampler(name), schedule=schedule(STEPS, shaping=shaping), guidance=cfg(SCALE))
    chosen = scheduler(sd, name, 1, **{f"use_{shaping}_sigmas": True})
    assert_equal(ours, sd.stock(chosen, num_inference_steps=STEPS, guidance_scale=SCALE))


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("name", ["euler", "ddim", "dpmpp_2m", "heun"])
def test_spacing(sd: Studio, name: Any, spacing: Any) -> None:
    ours = sd.ours(sampler=sampler(name), schedule=schedule(STEPS, spacing), guidance=cfg(SCALE))
    chosen = scheduler(sd, name, 1, timestep_spacing=spacing)
    assert_equal(ours, sd.stock(chosen, num_inference_steps=STEPS, guidance_scale=SCALE))


@pytest.mark.parametrize("name", ["dpmpp_2m", "euler", "heun", "lcm"])
def test_timesteps(sd: Studio, name: Any) -> None:
    timesteps = (999, 759, 499, 259)
    ours = sd.ours(sampler=sampler(name), schedule=schedule(timesteps=timesteps), guidance=cfg(SCALE))
    assert_equal(ours, sd.stock(scheduler(sd, name), timesteps=list(timesteps), guidance_scale=SCALE))


@pytest.mark.parametrize("name", ["euler", "ddim", "heun", "dpmpp_2m", "dpmpp_sde"])
def test_predicting_v(tmp_path: Path, name: Any) -> None:
    v = open_studio(build_sd(tmp_path / "tiny-v", prediction_type="v_prediction"))
    ours = v.ours(sampler=sampler(name), schedule=schedule(STEPS), guidance=cfg(SCALE))
    assert_equal(ours, v.stock(scheduler(v, name), num_inference_steps=STEPS, guidance_scale=SCALE))


def test_the_models_own_choices(studio: Studio) -> None:
    """Nothing wired: the scheduler of the folder, 25 steps, a guidance of 7.5."""
    own = diffusers.DiffusionPipeline.from_pretrained(studio.folder, dtype=torch.float32).scheduler
    assert_equal(studio.ours(), studio.stock(own, num_inference_steps=25, guidance_scale=7.5))


def test_a_guidance_distilled_model(tmp_path: Path) -> None:
    """A network that is told the scale evaluates one branch, as latent consistency models do."""
    distilled = open_studio(build_sd(tmp_path / "tiny-lcm", time_cond_proj_dim=8))
    assert_equal(
        distilled.ours(sampler=sampler("lcm"), schedule=schedule(4), guidance=cfg(8)),
        distilled.stock(scheduler(distilled, "lcm"), num_inference_steps=4, guidance_scale=8.0),
    )


PARTS = [(name, 0.6) for name in ("ddim", "euler_ancestral", "heun", "dpmpp_2m", "dpmpp_sde")] + [("euler", 1.0)]


@pytest.mark.parametrize(("name", "strength"), PARTS)
def test_image_to_image(studio: Studio, name: Any, strength: float) -> None:
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
        scheduler(studio, name, 2),
        2,
        pipeline=studio.stock_like("AutoPipelineForImage2Image"),
        image=original,
        strength=strength,
        num_inference_steps=STEPS,
        guidance_scale=SCALE,
    )
    assert_equal(ours, stock)


@pytest.mark.parametrize(("name", "strength"), PARTS)
def test_inpainting(studio: Studio, name: Any, strength: float) -> None:
    original, mask = some_latent(2), torch.zeros(1, 1, SIZE, SIZE)
    mask[..., 4:20, 8:] = 1
    ours = studio.ours(
        2,
        latent=Latent(original),
        mask=Mask(mask),
        strength=strength,
        sampler=sampler(name),
        schedule=schedule(STEPS),
        guidance=cfg(SCALE),
    )
    stock = studio.stock(
        scheduler(studio, name, 2),
        2,
        pipeline=studio.stock_like("AutoPipelineForInpainting"),
        image=original,
        mask_image=mask,
        masked_image_latents=original,
        height=SIZE,
        width=SIZE,
        strength=strength,
        num_inference_steps=STEPS,
        guidance_scale=SCALE,
    )
    assert_equal(ours, stock)


def some_latent(batch: int) -> Tensor:
    return torch.randn(batch, 4, SIZE // FACTOR, SIZE // FACTOR, generator=torch.Generator().manual_seed(5))
