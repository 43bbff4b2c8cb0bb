"""LoRAs as tensors by the names of kohya's, diffusers' and peft's layouts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from ...graph.node import NodeError
from .change import Change, Changes, Decomposed, Hadamard, Kronecker, LowRank, Whole

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Layout = Literal["diffusers", "kohya"]
KOHYA = {"unet": "lora_unet", "text_encoder": "lora_te1", "text_encoder_2": "lora_te2"}


def packed(changes: Changes, layout: Layout, family: str, dtype: torch.dtype) -> bytes:
    """A safetensors file in this layout. Raises `NodeError` for what it has no place for, or `dtype` no numbers."""
    from safetensors.torch import save

    metadata = {"format": "pt"}
    if layout == "diffusers":
        tensors, settings = as_diffusers(changes)
        metadata["lora_adapter_metadata"] = json.dumps(settings, sort_keys=True)
    else:
        tensors = as_kohya(changes, family)
    # alphas are single numbers, and stay what they are
    made = {key: (value.to(dtype) if value.ndim else value).clone().contiguous() for key, value in tensors.items()}
    if lost := [key for key, value in made.items() if not value.isfinite().all()]:
        raise NodeError(f"{dtype} cannot hold the numbers of {lost[0]}; save it as bfloat16 or float32.")
    return save(made, metadata)


def as_diffusers(changes: Changes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors, and the settings that go into the header: alpha stands there, so that factors stay what they are.

    Raises `NodeError` for what this layout has no place for.
    """
    tensors: dict[str, Tensor] = {}
    settings: dict[str, Any] = {}
    for part, changed in changes.items():
        pairs = {name: change for name, change in changed.items() if isinstance(change, LowRank)}
        if others := [name for name in changed if name not in pairs]:
            raise NodeError(
                f"{part}.{others[0]} is no LoRA of two factors, for which diffusers' layout has no place; take kohya's "
                "layout, or bring it to a rank with merge_loras and svd."
            )
        for name, change in pairs.items():
            tensors |= {f"{part}.{name}.lora_A.weight": change.down, f"{part}.{name}.lora_B.weight": change.up}
            if isinstance(change, Decomposed):
                if change.by_input:
                    raise NodeError(
                        f"{part}.{name} is decomposed (DoRA) by its inputs, which peft cannot do; take kohya's layout."
                    )
                tensors[f"{part}.{name}.lora_magnitude_vector"] = _of_peft(change)
        settings |= {f"{part}.{key}": value for key, value in _config(pairs).items()}
    return tensors, settings


def as_kohya(changes: Changes, family: str) -> dict[str, Tensor]:
    """Tensors by kohya's names; those of text encoders are the longer ones that older files have."""
    import torch

    tensors: dict[str, Tensor] = {}
    for part, changed in changes.items():
        if part not in KOHYA:
            raise NodeError(
                "kohya's layout names the layers of Stable Diffusion 1, 2 and XL as diffusers does, and those of other "
                "models by their original code; take diffusers' layout."
            )
        prefix = "lora_te" if (family, part) == ("sd", "text_encoder") else KOHYA[part]
        for name, change in changed.items():
            longer = part != "unet" and not name.startswith(("text_model.", "text_projection"))
            base = f"{prefix}_{f'text_model.{name}' if longer else name}".replace(".", "_")
            tensors |= {f"{base}.{key}": value for key, value in _of_kohya(change)}
            if change.rank:
                tensors[f"{base}.alpha"] = torch.tensor(change.scale * change.rank)  # pyright: ignore[reportAttributeAccessIssue]
    return tensors


def _of_kohya(change: Change) -> Iterator[tuple[str, Tensor]]:
    if isinstance(change, LowRank):
        yield from (("lora_down.weight", change.down), ("lora_up.weight", change.up))
        if isinstance(change, Decomposed):
            ones = [1] * (change.down.ndim - 1)
            length = change.magnitude.flatten()
            yield "dora_scale", length.reshape(1, -1, *ones[1:]) if change.by_input else length.reshape(-1, *ones)
    elif isinstance(change, Hadamard):
        for number, parts in ((1, change.first), (2, change.second)):
            yield from zip((f"hada_w{number}_a", f"hada_w{number}_b", f"hada_t{number}"), parts, strict=False)
    elif isinstance(change, Kronecker):
        for number, parts in ((1, change.first), (2, change.second)):
            names = (f"lokr_w{number}",) if len(parts) == 1 else (f"lokr_w{number}_a", f"lokr_w{number}_b", "lokr_t2")
            yield from zip(names, parts, strict=False)
    elif isinstance(change, Whole):
        yield "diff", change.values


def _of_peft(change: Decomposed) -> Tensor:
    length = change.magnitude.flatten()
    return length if change.down.ndim == 2 else length.reshape(1, -1, *(1 for _ in change.down.shape[2:]))


def _config(pairs: Mapping[str, LowRank]) -> dict[str, Any]:
    """What peft's LoraConfig is told."""
    ranks = {name: change.rank for name, change in pairs.items()}
    alphas = {name: change.scale * change.rank for name, change in pairs.items()}
    rank, alpha = next(iter(ranks.values())), next(iter(alphas.values()))
    return {
        "r": rank,
        "lora_alpha": alpha,
        # ^ keeps peft from taking a name for the end of a longer one
        "rank_pattern": {f"^{name}": each for name, each in ranks.items() if each != rank},
        "alpha_pattern": {f"^{name}": each for name, each in alphas.items() if each != alpha},
        "target_modules": sorted(pairs),
        "use_dora": any(isinstance(change, Decomposed) for change in pairs.values()),
    }
