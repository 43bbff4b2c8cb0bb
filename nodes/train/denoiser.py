"""The denoiser of the shapes model: a small stock UNet2DConditionModel on whitened latents.

It predicts v (Salimans and Ho 2022, https://arxiv.org/abs/2202.00512), because the loss on the noise hardly weighs the
high noise levels, where the layout of a picture is decided. For the same reason the loss on v is not reweighted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, cast

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor
from torch.nn import functional
from transformers import CLIPTextModel, CLIPTokenizer

from ..shapes.caption import random_caption
from ..shapes.render import render
from ..shapes.scene import random_scenes
from .loop import Descent, Report, Trained, descend, generator_at, silent


def new_denoiser(size: int = 8, channels: tuple[int, ...] = (96, 128, 128), context: int = 128) -> UNet2DConditionModel:
    """An untrained UNet for latents (4, size, size); every level but the last and coarsest attends to the text."""
    levels = len(channels)
    return UNet2DConditionModel(
        sample_size=size,
        in_channels=4,
        out_channels=4,
        block_out_channels=channels,
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D",) * (levels - 1) + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * (levels - 1),
        cross_attention_dim=context,
        attention_head_dim=4,  # diffusers reads this as the number of heads
        norm_num_groups=16,
    )


def new_scheduler() -> DDIMScheduler:
    """Stable Diffusion's noise schedule, for a denoiser that predicts v."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        timestep_spacing="leading",
        prediction_type="v_prediction",
    )


@torch.no_grad()
def encode_texts(encoder: CLIPTextModel, tokenizer: CLIPTokenizer, texts: Sequence[str]) -> Tensor:
    """Hidden states (n, 77, width) of captions, as the stock pipeline computes them."""
    length = tokenizer.model_max_length
    given = tokenizer(list(texts), padding="max_length", truncation=True, max_length=length, return_tensors="pt")
    return torch.cat([encoder(part).last_hidden_state for part in given.input_ids.split(64)])


@torch.no_grad()
def encode_pictures(autoencoder: AutoencoderKL, pictures: Tensor) -> Tensor:
    """Mean latents (n, 4, h, w), scaled as the denoiser sees them, of pictures (n, 3, H, W) in [0, 1]."""
    encode = cast(Any, autoencoder.encode)  # its stub does not know that it gives no tuple unless asked to
    parts = [encode(part).latent_dist.mode() for part in (pictures * 2 - 1).split(64)]
    return torch.cat(parts) * autoencoder.config["scaling_factor"]


class Frozen(NamedTuple):
    """What the denoiser learns against and does not change."""

    autoencoder: AutoencoderKL
    encoder: CLIPTextModel
    tokenizer: CLIPTokenizer


class Chunk(NamedTuple):
    """Encoded training pairs: latents (n, 4, h, w) and hidden states (n, 77, width)."""

    latents: Tensor
    hidden: Tensor


def encode_chunk(frozen: Frozen, count: int, stream: str) -> Chunk:
    """Draw and encode `count` captioned pictures that depend on `stream` alone."""
    scenes = random_scenes(count, stream)
    random = Random(f"words/{stream}")
    texts = [random_caption(scene, random)[0] for scene in scenes]
    latents = torch.cat(
        [encode_pictures(frozen.autoencoder, render(scenes[at : at + 64])) for at in range(0, count, 64)]
    )
    # Half precision only to store them: 20 kB instead of 40 kB for each caption.
    return Chunk(latents, encode_texts(frozen.encoder, frozen.tokenizer, texts).half())


def stratified(batch: int, steps: int, generator: torch.Generator) -> Tensor:
    """(batch,) timesteps in [0, steps), one from each of `batch` equal parts, in random order."""
    share = (torch.arange(batch) + torch.rand(batch, generator=generator)) / batch
    return (share * steps).long()[torch.randperm(batch, generator=generator)]


def fit_denoiser(
    folder: Path,
    frozen: Frozen,
    steps: int = 7000,
    batch: int = 32,
    channels: tuple[int, ...] = (96, 128, 128),
    rate: float = 1e-3,
    unguided: float = 0.1,
    chunk: int = 4096,
    passes: int = 2,
    seed: int = 0,
    report: Report = silent,
    stop_after: int | None = None,
) -> tuple[UNet2DConditionModel, Trained]:
    """Train the denoiser in `folder`, resuming from its last checkpoint. Returns the averaged model and the curve.

    Pictures and captions are encoded `chunk` at a time and used `passes` times, each time with other noise; a share of
    `unguided` of the captions is replaced by the empty one, for classifier-free guidance.
    """
    torch.manual_seed(seed)
    config = frozen.autoencoder.config
    side = config["sample_size"] // 2 ** (len(config["block_out_channels"]) - 1)
    model = cast(Any, new_denoiser(side, channels, frozen.encoder.config.hidden_size))
    model = model.to(memory_format=torch.channels_last)
    scheduler = new_scheduler()
    nothing = encode_texts(frozen.encoder, frozen.tokenizer, [""])
    per_chunk = passes * (chunk // batch)
    held: dict[int, tuple[Chunk, Tensor]] = {}

    def pairs_at(step: int) -> tuple[Tensor, Tensor]:
        number, place = divmod(step, per_chunk)
        if number not in held:
            held.clear()
            generator = generator_at(seed + 2, number)
            order = torch.cat([torch.randperm(chunk, generator=generator) for _ in range(passes)])
            held[number] = encode_chunk(frozen, chunk, f"denoiser/{seed}/{number}"), order
        encoded, order = held[number]
        rows = order[place * batch : (place + 1) * batch]
        return encoded.latents[rows], encoded.hidden[rows].float()

    def loss_at(step: int) -> Tensor:
        latents, hidden = pairs_at(step)
        generator = generator_at(seed + 3, step)
        dropped = torch.rand(batch, 1, 1, generator=generator) < unguided
        hidden = torch.where(dropped, nothing, hidden)
        noise = torch.randn(latents.shape, generator=generator)
        # The scheduler's stub asks for 32-bit timesteps; its code indexes with any.
        times = cast(Any, stratified(batch, scheduler.config["num_train_timesteps"], generator))
        noisy = scheduler.add_noise(latents, noise, times)
        predicted = model(noisy.to(memory_format=torch.channels_last), times, hidden).sample
        return functional.mse_loss(predicted, scheduler.get_velocity(latents, noise, times))

    trained = descend(folder, model, loss_at, Descent(steps, rate, warmup=200), report, stop_after)
    model.load_state_dict(trained.weights)
    return model.eval(), trained
