"""Random LoRAs for tiny models, and files of them as other trainers write them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from studio import Studio
from torch import Tensor

from latentloom.graph.files import Files
from latentloom.nodes.lora.load_lora import load_lora
from latentloom.nodes.lora.lora import Lora
from latentloom.nodes.lora.skeleton import skeleton
from latentloom.nodes.types import Model

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0", "q_proj", "v_proj", "out_proj", "fc1")
CONVOLUTIONS = ("conv1", "conv2", "proj_in", "conv_shortcut", "time_emb_proj")

Factors = Mapping[str, tuple[Tensor, Tensor]]
"""`part.module` -> A (r, in, ...), B (out, r, ...)."""


def layers(model: Model, endings: Sequence[str] = ATTENTION, parts: Sequence[str] = ()) -> dict[str, torch.Size]:
    """`part.module` -> shape of its weight, of the layers with one of these `endings`."""
    return {
        f"{part}.{name}": shape
        for part, shapes in skeleton(model).items()
        if not parts or part in parts
        for name, shape in shapes.items()
        if name.endswith(tuple(endings)) and "text_encoder_3" not in part
    }


def factors(shapes: Mapping[str, torch.Size], rank: int = 2, seed: int = 0, size: float = 1.0) -> Factors:
    """Large enough to be seen in a picture."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, shape in shapes.items():
        down = torch.randn(rank, *shape[1:], generator=generator) / shape[1:].numel() ** 0.5
        kernel = (1,) * len(shape[2:])
        found[name] = down, size * torch.randn(shape[0], rank, *kernel, generator=generator) / rank**0.5
    return found


def as_diffusers(given: Factors) -> dict[str, Tensor]:
    return {f"{name}.lora_{'AB'[i]}.weight": each[i] for name, each in given.items() for i in (0, 1)}


KOHYA = {
    "unet": "lora_unet",
    "text_encoder": "lora_te1",
    "text_encoder_2": "lora_te2",
    "transformer": "lora_transformer",
}


def kohya_name(name: str) -> str:
    """`part.module` as kohya writes it, with the `text_model` that its encoders have."""
    part, _, module = name.partition(".")
    if part.startswith("text_encoder") and not module.startswith("text_model."):
        module = f"text_model.{module}"
    return f"{KOHYA[part]}_{module.replace('.', '_')}"


def as_kohya(
    given: Factors, alpha: float | None = None, naming: Callable[[str], str] = kohya_name
) -> dict[str, Tensor]:
    found = {}
    for name, (down, up) in given.items():
        found |= {f"{naming(name)}.lora_down.weight": down, f"{naming(name)}.lora_up.weight": up}
        if alpha is not None:
            found[f"{naming(name)}.alpha"] = torch.tensor(alpha)
    return found


def write(folder: Path, tensors: Mapping[str, Tensor], name: str = "lora.safetensors", **config: Any) -> Path:
    """`tensors` as a file; `config` is what diffusers tells in the header, by part."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {f"{part}.{key}": value for part, settings in config.items() for key, value in settings.items()}
    metadata = {"lora_adapter_metadata": json.dumps(told)} if told else None
    save_file({key: value.detach().clone().contiguous() for key, value in tensors.items()}, folder / name, metadata)
    return folder / name


def opened(model: Model, path: Path) -> Lora:
    return load_lora(model, path.name, files=Files({"models": [path.parent]}))


def stored(studio: Studio, folder: Path, tensors: Mapping[str, Tensor], **config: Any) -> Lora:
    return opened(studio.model, write(folder, tensors, **config))


def deltas(lora: Lora) -> dict[str, Tensor]:
    """`part.module` -> the change of a weight of zeros."""
    shapes = skeleton(lora.model)
    return {
        f"{part}.{name}": change.delta(torch.zeros(shapes[part][name]))
        for part, changed in lora.load().items()
        for name, change in changed.items()
    }


def product(down: Tensor, up: Tensor) -> Tensor:
    return (up.flatten(1) @ down.flatten(1)).reshape(len(up), *down.shape[1:])
