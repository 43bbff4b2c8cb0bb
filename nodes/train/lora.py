"""A LoRA learnt from captioned pictures: the denoiser's own loss, and its weights frozen.

Diffusion models: |prediction - what the noise or v was|² at a noise level drawn evenly from all. Straight paths:
|prediction - (noise - x0)|² at times t = sigmoid(n), n normal (Esser et al., 2024, https://arxiv.org/abs/2403.03206).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ...graph.node import NodeError
from ...graph.progress import QUIET, Progress
from ..lora.trainable import Trainable
from ..models.live import Parts, use
from ..sample.generate import Job, pictures
from ..types import Conditioning, Model, Noise, Schedule
from .captioned import Captioned
from .checkpoint import load_checkpoint
from .denoiser import stratified
from .loop import Descent, Report, Trained, descend, generator_at, silent


class Lesson(NamedTuple):
    """Latents (n, C, h, w), their prompts, and what stands for no prompt, equally long."""

    latents: Tensor
    prompts: Conditioning
    nothing: Conditioning


@torch.no_grad()
def encode(parts: Parts, given: Captioned, seed: int, progress: Progress = QUIET) -> Lesson:
    """Pictures and captions as the denoiser is told them. No prompt is what the model takes for it in sampling."""
    generators = [generator_at(seed + 1, number) for number in range(len(given.pixels))]
    latents = parts.family.encode_pixels(parts, given.pixels, generators)
    told = parts.family.encode(parts, [*given.captions, ""], progress=progress)
    nothing = parts.family.empty(parts, progress)
    if nothing.tokens.shape[1:] != told.tokens.shape[1:]:  # captions longer than one chunk
        nothing = _rows(told, torch.tensor([len(given.captions)]))
    return Lesson(latents, _rows(told, torch.arange(len(given.captions))), nothing)


def fit_lora(
    folder: Path,
    parts: Parts,
    factors: Trainable,
    lesson: Lesson,
    how: Descent,
    batch: int,
    unguided: float = 0.1,
    seed: int = 0,
    report: Report = silent,
    stop_after: int | None = None,
) -> Trained:
    """Train `factors` in `folder`, going on from its last checkpoint; they end as the average of their last values.

    `parts` are those of a model that has them on as `Learning`.
    A share of `unguided` of the captions is left out, for classifier-free guidance. Raises `NodeError` where the
    checkpoint is of other factors.
    """
    from diffusers import DDPMScheduler

    if (saved := load_checkpoint(folder)) is not None:
        kept = {name: value.shape for name, value in saved[0].items() if name.startswith("weight.")}
        if kept != {f"weight.{name}": value.shape for name, value in factors.named_parameters()}:
            raise NodeError(
                f"{folder} holds the checkpoint of a LoRA of another rank or other layers; name a new folder."
            )
    shape = (batch, *lesson.latents.shape[1:])
    flow = parts.family.flow(parts, shape) is not None
    scheduler = None if flow else DDPMScheduler.from_config(parts.scheduler_config)
    predict = parts.family.predictor(parts, shape, 1.0 if parts.description.guidance_embedded else None)
    device = parts.placement.device
    factors.to(device)

    def loss_at(step: int) -> Tensor:
        generator = generator_at(seed + 2, step)
        rows = torch.randint(len(lesson.latents), (batch,), generator=generator)
        prompts = _rows(lesson.prompts, rows)
        dropped = torch.rand(batch, generator=generator) < unguided
        latents, noise = lesson.latents[rows], torch.randn(shape, generator=generator)
        noisy, times, wanted = _question(scheduler, latents, noise, generator)
        asked = _mixed(dropped, lesson.nothing, prompts)
        (predicted,) = predict(noisy.to(device), times.to(device), [asked])
        return functional.mse_loss(predicted.float(), wanted.to(device))

    trained = descend(folder, factors, loss_at, how, report, stop_after)
    factors.load_state_dict(trained.weights)
    return trained


def sampled(model: Model, captions: Sequence[str], size: tuple[int, int], seed: int, progress: Progress) -> Tensor:
    """Pictures (n, 3, height, width) that `model` draws of `captions`."""
    with torch.no_grad(), use(model, progress) as parts:
        told, sizes = parts.family.encode(parts, captions, progress=progress), parts.description
    shape = (sizes.latent_channels, size[0] // sizes.factor, size[1] // sizes.factor)
    noise = torch.stack([torch.randn(shape, generator=generator_at(seed, i)) for i in range(len(captions))])
    job = Job(model, Noise(noise, tuple(range(len(captions)))), told, None, None, None)
    return pictures(job, Schedule(25), progress)


def _question(
    scheduler: Any, latents: Tensor, noise: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Noisy latents, their timesteps (B,), and the right answer."""
    count = len(latents)
    if scheduler is None:
        times = torch.sigmoid(torch.randn(count, generator=generator))
        share = times.reshape(-1, 1, 1, 1)
        return (1 - share) * latents + share * noise, 1000 * times, noise - latents
    times = stratified(count, scheduler.config.num_train_timesteps, generator)
    noisy = scheduler.add_noise(latents, noise, times)
    kind = scheduler.config.prediction_type
    wanted = {"epsilon": noise, "sample": latents}
    return noisy, times, wanted[kind] if kind in wanted else scheduler.get_velocity(latents, noise, times)


def _rows(told: Conditioning, rows: Tensor) -> Conditioning:
    pooled, mask = (None if part is None else part[rows] for part in (told.pooled, told.mask))
    return Conditioning(told.tokens[rows], pooled, mask)


def _mixed(where: Tensor, one: Conditioning, other: Conditioning) -> Conditioning:
    """`one`, of one row, in the rows `where`, and `other` in the rest."""

    def mixed(name: str) -> Any:
        chosen, left = getattr(one, name), getattr(other, name)
        return None if left is None else torch.where(where.reshape(-1, *(1,) * (left.ndim - 1)), chosen, left)

    return Conditioning(mixed("tokens"), mixed("pooled"), mixed("mask"))
