"""The denoiser of shapes-dit: a small stock SD3Transformer2DModel on whitened latents.

A straight path from noise to picture (rectified flow: Liu et al. 2022, https://arxiv.org/abs/2209.03003) through a
transformer that reads picture and prompt as one sequence (MMDiT: Esser et al. 2024, https://arxiv.org/abs/2403.03206).
Times are shifted towards the noise in training as in sampling, because there the layout of a picture is decided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, cast

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

from ..shapes.caption import random_caption
from ..shapes.render import render
from ..shapes.scene import random_scenes
from .denoiser import encode_pictures
from .loop import Descent, Report, Trained, descend, generator_at, silent
from .padding import LastKeyWeighs, padding_weights
from .text_encoder import token_ids

SHIFT = 3.0
"""Time s becomes 3 s / (1 + 2 s): half of the steps are spent where a quarter of the signal or less is left."""


class Prompts(NamedTuple):
    """Encoded prompts: `tokens` (n, L, D) and `pooled` (n, P)."""

    tokens: Tensor
    pooled: Tensor


class Readers(NamedTuple):
    """What the transformer learns against and does not change."""

    autoencoder: AutoencoderKL
    encoders: tuple[CLIPTextModelWithProjection, CLIPTextModelWithProjection]
    tokenizer: CLIPTokenizer

    @torch.no_grad()
    def read(self, texts: Sequence[str]) -> Prompts:
        """Prompts as the stock pipeline encodes them, without the zeros that stand for T5's."""
        ids = token_ids(self.tokenizer, texts)
        tokens, pooled = [], []
        for encoder in self.encoders:
            parts = [encoder(part, output_hidden_states=True) for part in ids.split(256)]
            tokens.append(torch.cat([part.hidden_states[-2] for part in parts]))
            pooled.append(torch.cat([part.text_embeds for part in parts]))
        return Prompts(torch.cat(tokens, -1), torch.cat(pooled, -1))


class Lesson(NamedTuple):
    """Encoded training pairs: latents (n, 4, h, w) and their prompts."""

    latents: Tensor
    prompts: Prompts


def new_transformer(
    size: int = 8, width: int = 160, layers: int = 6, heads: int = 5, context: int = 192, pooled: int = 128
) -> SD3Transformer2DModel:
    """An untrained transformer for latents (4, size, size), one token a latent pixel.

    Each block begins as the identity, and the whole predicts 0 (adaLN-Zero: Peebles and Xie 2022,
    https://arxiv.org/abs/2212.09748).
    """
    model = SD3Transformer2DModel(
        sample_size=size,
        patch_size=1,
        in_channels=4,
        out_channels=4,
        num_layers=layers,
        attention_head_dim=width // heads,
        num_attention_heads=heads,
        joint_attention_dim=context,
        caption_projection_dim=width,
        pooled_projection_dim=pooled,
        pos_embed_max_size=size,
    )
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and (name == "proj_out" or name.endswith(".linear")):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
    return model


def new_flow_scheduler() -> FlowMatchEulerDiscreteScheduler:
    """The steps of Stable Diffusion 3."""
    return FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=SHIFT)


def encode_lesson(readers: Readers, count: int, stream: str) -> Lesson:
    """Draw and encode `count` captioned pictures that depend on `stream` alone."""
    scenes = random_scenes(count, stream)
    random = Random(f"words/{stream}")
    texts = [random_caption(scene, random)[0] for scene in scenes]
    latents = [encode_pictures(readers.autoencoder, render(scenes[at : at + 64])) for at in range(0, count, 64)]
    return Lesson(torch.cat(latents), readers.read(texts))


def shifted_times(count: int, generator: torch.Generator) -> Tensor:
    """(count,) times in (0, 1), 1 being noise: one from each of `count` equal parts, shifted, in random order."""
    times = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    times = times[torch.randperm(count, generator=generator)]
    return SHIFT * times / (1 + (SHIFT - 1) * times)


class Question(NamedTuple):
    """What the transformer is asked in one step: `wanted`, noise less picture, of `noisy` latents at `times` (B,)."""

    noisy: Tensor
    prompts: Prompts
    times: Tensor
    wanted: Tensor

    def loss(self, model: Any) -> Tensor:
        predicted = model(self.noisy, self.prompts.tokens, self.prompts.pooled, self.times * 1000).sample
        return functional.mse_loss(predicted, self.wanted)


def questions(
    readers: Readers, batch: int, unguided: float, chunk: int, passes: int, seed: int
) -> Callable[[int], tuple[Question, torch.Generator]]:
    """The question of each step, and the randomness that is left of it.

    Pictures and captions are encoded `chunk` at a time and used `passes` times, each time with other noise; a share of
    `unguided` of the captions is replaced by the empty one. One token of zeros stands behind each prompt, for T5's.
    """
    nothing = readers.read([""])
    padding = torch.zeros(batch, 1, nothing.tokens.shape[-1])
    per_chunk = passes * (chunk // batch)
    held: dict[int, tuple[Lesson, Tensor]] = {}

    def pairs_at(step: int) -> Lesson:
        number, place = divmod(step, per_chunk)
        if number not in held:
            held.clear()
            generator = generator_at(seed + 2, number)
            order = torch.cat([torch.randperm(chunk, generator=generator) for _ in range(passes)])
            held[number] = encode_lesson(readers, chunk, f"transformer/{seed}/{number}"), order
        lesson, order = held[number]
        rows = order[place * batch : (place + 1) * batch]
        return Lesson(lesson.latents[rows], Prompts(*(tensor[rows] for tensor in lesson.prompts)))

    def question_at(step: int) -> tuple[Question, torch.Generator]:
        latents, prompts = pairs_at(step)
        generator = generator_at(seed + 3, step)
        dropped = torch.rand(batch, 1, generator=generator) < unguided
        tokens = torch.where(dropped[:, None], nothing.tokens, prompts.tokens)
        pooled = torch.where(dropped, nothing.pooled, prompts.pooled)
        noise = torch.randn(latents.shape, generator=generator)
        times = shifted_times(batch, generator)
        noisy = torch.lerp(latents, noise, times[:, None, None, None])
        told = Prompts(torch.cat((tokens, padding), 1), pooled)
        return Question(noisy, told, times, noise - latents), generator

    return question_at


def fit_transformer(
    folder: Path,
    readers: Readers,
    steps: int = 9000,
    batch: int = 16,
    width: int = 160,
    layers: int = 6,
    heads: int = 5,
    rate: float = 1e-3,
    unguided: float = 0.1,
    chunk: int = 4096,
    passes: int = 3,
    seed: int = 0,
    report: Report = silent,
    stop_after: int | None = None,
) -> tuple[SD3Transformer2DModel, Trained]:
    """Train the transformer in `folder`, resuming from its last checkpoint. Returns the averaged model and the curve.

    Pictures and captions are encoded `chunk` at a time and used `passes` times, each time with other noise; a share of
    `unguided` of the captions is replaced by the empty one, for classifier-free guidance.
    """
    torch.manual_seed(seed)
    config = readers.autoencoder.config
    side = config["sample_size"] // 2 ** (len(config["block_out_channels"]) - 1)
    pooled, tokens = (each.shape[-1] for each in reversed(readers.read([""])))
    model = cast(Any, new_transformer(side, width, layers, heads, tokens, pooled))
    asked = questions(readers, batch, unguided, chunk, passes, seed)

    def loss_at(step: int) -> Tensor:
        question, generator = asked(step)
        with LastKeyWeighs(padding_weights(batch, step, generator)):
            return question.loss(model)

    trained = descend(folder, model, loss_at, Descent(steps, rate, warmup=200), report, stop_after)
    model.load_state_dict(trained.weights, strict=False)  # the places' sinusoids are not trained
    return model.eval(), trained
