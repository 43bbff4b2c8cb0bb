"""Put the trained parts into one folder that StableDiffusionPipeline.from_pretrained loads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from diffusers import AutoencoderKL, SchedulerMixin, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from ...graph.atomic import write


def assemble(
    folder: Path,
    autoencoder: AutoencoderKL,
    encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    denoiser: UNet2DConditionModel,
    scheduler: SchedulerMixin,
    card: str | None = None,
) -> Path:
    """Save copies of the parts in `folder` as half precision safetensors, with `card` as the README.md.

    The parts themselves stay as they are. Returns `folder`.
    """
    # The stub names an enumeration for the scheduler and leaves out that the last two may be None.
    pipeline = StableDiffusionPipeline(
        vae=autoencoder,
        text_encoder=encoder,
        tokenizer=tokenizer,
        unet=denoiser,
        scheduler=scheduler,  # pyright: ignore[reportArgumentType]
        safety_checker=None,  # pyright: ignore[reportArgumentType]
        feature_extractor=None,  # pyright: ignore[reportArgumentType]
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
    for path in sorted(folder.rglob("*.safetensors")):
        halved = {name: value.half() if value.is_floating_point() else value for name, value in load_file(path).items()}
        write(path, save(halved, metadata={"format": "pt"}))
    # The text library writes the type it was trained in and later loads by it; the files hold half precision.
    config = folder / "text_encoder" / "config.json"
    written = json.loads(config.read_text()) | {"dtype": "float16"}
    write(config, (json.dumps(written, indent=2) + "\n").encode())
    if card is not None:
        write(folder / "README.md", card.encode())
    return folder


def load_pipeline(folder: Path) -> StableDiffusionPipeline:
    """The assembled folder as a stock pipeline in single precision, for a machine without a GPU."""
    pipeline = StableDiffusionPipeline.from_pretrained(
        folder, dtype=torch.float32, safety_checker=None, requires_safety_checker=False, local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def sample_pictures(
    folder: Path, prompts: Sequence[str], steps: int = 25, guidance: float = 2.0, seed: int = 0, batch: int = 50
) -> Tensor:
    """Pictures (n, 3, h, w) in [0, 1] that the stock pipeline of `folder` draws for `prompts`."""
    pipeline = cast(Any, load_pipeline(folder))  # its stub does not know that output_type decides what it returns
    generator = torch.Generator().manual_seed(seed)
    pictures = [
        pipeline(
            list(prompts[at : at + batch]),
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=generator,
            output_type="pt",
        ).images
        for at in range(0, len(prompts), batch)
    ]
    return torch.cat(pictures)
