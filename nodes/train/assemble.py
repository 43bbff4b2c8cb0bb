"""Put trained parts into one folder that the stock pipeline's from_pretrained loads."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from safetensors.torch import load_file, save
from torch import Tensor

from ...graph.atomic import write


def assemble(folder: Path, pipeline: DiffusionPipeline, card: str | None = None) -> Path:
    """Save copies of a pipeline's parts in `folder` as half precision safetensors, with `card` as the README.md.

    The parts themselves stay as they are. Returns `folder`.
    """
    pipeline.save_pretrained(folder, safe_serialization=True)
    for path in sorted(folder.rglob("*.safetensors")):
        halved = {name: value.half() if value.is_floating_point() else value for name, value in load_file(path).items()}
        write(path, save(halved, metadata={"format": "pt"}))
    for config in sorted(folder.glob("*/config.json")):
        written = json.loads(config.read_text())
        written.pop("_name_or_path", None)  # where a part lay on the machine it was trained on
        if "dtype" in written:  # the text library loads by the type it was trained in; the files hold half precision
            written["dtype"] = "float16"
        write(config, (json.dumps(written, indent=2) + "\n").encode())
    if card is not None:
        write(folder / "README.md", card.encode())
    return folder


def load_pipeline(folder: Path) -> Any:
    """The assembled folder as a stock pipeline in single precision, for a machine without a GPU."""
    pipeline: Any = DiffusionPipeline.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def sample_pictures(
    folder: Path,
    prompts: Sequence[str],
    steps: int = 25,
    guidance: float = 2.0,
    seed: int = 0,
    batch: int = 50,
    changed: Callable[[Any], AbstractContextManager[object]] = nullcontext,
    **options: Any,
) -> Tensor:
    """Pictures (n, 3, h, w) in [0, 1] that the stock pipeline of `folder`, called with `options`, draws, while the
    context that `changed` gives for it lasts."""
    pipeline = load_pipeline(folder)
    generator = torch.Generator().manual_seed(seed)
    with changed(pipeline):
        pictures = [
            pipeline(
                list(prompts[at : at + batch]),
                num_inference_steps=steps,
                guidance_scale=guidance,
                generator=generator,
                output_type="pt",
                **options,
            ).images
            for at in range(0, len(prompts), batch)
        ]
    return torch.cat(pictures)
