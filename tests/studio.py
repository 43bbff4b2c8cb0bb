"""A model both ways: as our nodes see it and as the stock pipeline does."""

# pyright: reportArgumentType=false, reportCallIssue=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import diffusers
import torch
from tiny import SIZE
from torch import Tensor

from latentloom.graph.files import Files
from latentloom.nodes.image.decode import decode
from latentloom.nodes.load.load_model import load_model
from latentloom.nodes.noise.empty_latent import empty_latent
from latentloom.nodes.noise.gaussian_noise import gaussian_noise
from latentloom.nodes.prompt.encode_prompt import encode_prompt
from latentloom.nodes.sample.denoise import denoise
from latentloom.nodes.types import Latent, Model, Noise

PROMPT, NEGATIVE, SEED = "a red circle", "an ugly blur", 11


@dataclass
class Studio:
    """Pictures of one model, made by our nodes (`ours`) and by a stock pipeline (`stock`)."""

    model: Model
    folder: Path
    pipeline: Any
    usual: dict[str, Any] = field(default_factory=dict)
    """What every call of the stock pipeline is given."""

    def noise(self, batch: int = 1, seed: int = SEED, size: tuple[int, int] = (SIZE, SIZE)) -> Noise:
        """For pictures of `size` (height, width)."""
        return gaussian_noise(empty_latent(self.model, size[1], size[0], batch), seed)

    def sample(self, batch: int = 1, seed: int = SEED, negative: str | None = None, **options: Any) -> Latent:
        """`denoise` with the prompt of all tests."""
        unwanted = None if negative is None else encode_prompt(self.model, negative)
        noise = options.pop("noise", None) or self.noise(batch, seed)
        return denoise(self.model, noise, encode_prompt(self.model, PROMPT), unwanted, **options).latent

    def ours(self, batch: int = 1, **options: Any) -> Tensor:
        """Pixels (B, 3, H, W) in [0, 1]."""
        return decode(self.model, self.sample(batch, **options)).pixels

    def stock(self, scheduler: Any, batch: int = 1, pipeline: Any = None, **options: Any) -> Tensor:
        """Pixels (B, 3, H, W) in [0, 1] of the stock pipeline with `scheduler`."""
        pipeline = pipeline or self.pipeline
        pipeline.scheduler = scheduler
        pipeline.set_progress_bar_config(disable=True)
        negative = options.pop("negative", None)
        return pipeline(
            [PROMPT] * batch,
            negative_prompt=None if negative is None else [negative] * batch,
            generator=generators(range(SEED, SEED + batch)),
            output_type="pt",
            **{**self.usual, **options},
        ).images

    def stock_like(self, auto_class: str) -> Any:
        """The stock pipeline for another task with the same parts."""
        return getattr(diffusers, auto_class).from_pipe(self.pipeline)


def generators(seeds: Sequence[int]) -> list[torch.Generator]:
    return [torch.Generator("cpu").manual_seed(seed) for seed in seeds]


def open_studio(folder: Path, parts: dict[str, Any] | None = None, **usual: Any) -> Studio:
    """`parts` are for parts of the stock pipeline, `usual` for its calls."""
    model = load_model(folder.name, files=Files({"models": [folder.parent]}))
    pipeline = diffusers.DiffusionPipeline.from_pretrained(folder, dtype=torch.float32, **(parts or {}))
    return Studio(model, folder, pipeline, usual)
