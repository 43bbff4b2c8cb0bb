"""LoRA files: safetensors in the layouts of kohya (and LyCORIS), diffusers and peft.

A file alone holds kohya's or diffusers' layout, a folder with `adapter_config.json` peft's; a folder may hold one such
folder for each part. What diffusers and peft write about scales stands in the file's header or in that JSON.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...graph.node import NodeError
from ..models import weights
from ..models.inspect import read_json

if TYPE_CHECKING:
    from torch import Tensor

_CONFIG = "adapter_config.json"
_NAMES = ("adapter_model.safetensors", "pytorch_lora_weights.safetensors")
_METADATA = "lora_adapter_metadata"

_ENDINGS = {
    ".lora_A.weight": "down",
    ".lora_B.weight": "up",
    ".lora_A.default.weight": "down",
    ".lora_B.default.weight": "up",
    ".lora_down.weight": "down",
    ".lora_up.weight": "up",
    ".lora_linear_layer.down.weight": "down",
    ".lora_linear_layer.up.weight": "up",
    ".lora_magnitude_vector.weight": "magnitude",
    ".lora_magnitude_vector": "magnitude",
    ".dora_scale": "dora_scale",
    ".alpha": "alpha",
    ".diff": "diff",
    **{f".{name}": name for name in ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2")},
    **{f".{name}": name for name in ("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b")},
    ".lokr_t2": "lokr_t2",
}

Tensors = Mapping[str, "Tensor"]


@dataclass(frozen=True, eq=False)
class Raw:
    """What a file holds. `configs` are those of peft by the part they are for, "" for all of them."""

    tensors: Tensors
    configs: Mapping[str, Mapping[str, Any]]

    def scale(self, name: str, part: str, rank: int, alpha: Tensor | None) -> float:
        """alpha / r, or alpha / sqrt(r) for rank-stabilised LoRA; without an alpha 1. `rank` 0 is for what has none:
        LyCORIS does not scale it, and peft by the rank it was configured with."""
        from peft.utils.other import get_pattern_key

        config = self.configs.get(part) or self.configs.get("", {})
        told = config.get("alpha_pattern") or {}
        module = name.removeprefix(f"{part}.").removeprefix("base_model.model.")
        usual = config.get("lora_alpha", config.get("alpha"))
        value = alpha.item() if alpha is not None else told.get(get_pattern_key(list(told), module), usual)
        rank = rank or config.get("r", 0)
        if value is None or not rank:
            return 1.0
        return float(value) / (math.sqrt(rank) if config.get("use_rslora") else rank)


def read(path: Path) -> Raw:
    """The tensors and settings in the file or folder `path`. Raises `NodeError`."""
    if not path.exists():
        raise NodeError(f"{path} is not there any more.")
    if path.is_file():
        tensors, metadata = _file(path)
        configs: dict[str, dict[str, Any]] = {}
        for name, value in _json(path, metadata).items():
            part, _, setting = name.rpartition(".")
            configs.setdefault(part, {})[setting] = value
        return Raw(tensors, configs)
    folders = {"": path, **{sub.name: sub for sub in sorted(path.iterdir()) if (sub / _CONFIG).is_file()}}
    tensors, configs = {}, {}
    for part, folder in folders.items():
        file = next((folder / name for name in _NAMES if (folder / name).is_file()), None)
        if file is not None:
            prefix = f"{part}." if part else ""
            found, _ = _file(file)
            tensors |= {f"{prefix}{name.removeprefix('base_model.model.')}": value for name, value in found.items()}
            if (folder / _CONFIG).is_file():
                configs[part] = read_json(folder / _CONFIG)
    if not tensors:
        raise NodeError(f"{path} holds no LoRA: neither {' nor '.join(_NAMES)}, which peft and diffusers write.")
    unread = [f"{key} {config[key]!r}" for config in configs.values() for key in ("bias",) if _told(config.get(key))]
    if unread:
        raise NodeError(f"{path} trained {', '.join(unread)} besides, which is not read.")
    return Raw(tensors, configs)


def layers(tensors: Tensors) -> tuple[dict[str, dict[str, Tensor]], list[str]]:
    """The tensors of each layer by what they are, and the names of those that are nothing known."""
    found: dict[str, dict[str, Tensor]] = {}
    unknown = []
    for name, key in _modern(tensors).items():
        ending = next((each for each in _ENDINGS if key.endswith(each)), None)
        if ending is None:
            unknown.append(name)
        else:
            found.setdefault(key.removesuffix(ending), {})[_ENDINGS[ending]] = tensors[name]
    return found, unknown


def _modern(tensors: Tensors) -> dict[str, str]:
    """Name -> what peft calls it. diffusers' own older layouts are renamed by its converters; others stay."""
    from diffusers.utils import (
        convert_state_dict_to_diffusers,
        convert_state_dict_to_peft,
        convert_unet_state_dict_to_peft,
    )

    texts = {name: name for name in tensors if name.startswith("text_encoder")}
    with suppress(ValueError):  # they are in another layout, or there are none
        texts = convert_state_dict_to_peft(convert_state_dict_to_diffusers(texts))
    others = {name: name for name in tensors if not name.startswith("text_encoder")}
    return {name: key for key, name in {**texts, **convert_unet_state_dict_to_peft(others)}.items()}


def _file(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import safe_open

    weights.header(path)
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118


def _json(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    try:
        found = json.loads(metadata.get(_METADATA) or "{}")
    except ValueError as error:
        raise NodeError(f"{path} has {_METADATA} in its header that is not JSON: {error}.") from None
    return found if isinstance(found, dict) else {}


def _told(bias: Any) -> bool:
    return bias not in (None, "none")
