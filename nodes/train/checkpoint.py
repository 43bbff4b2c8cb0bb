"""Checkpoints that survive being killed at any moment, and never hold a pickle.

A checkpoint is one safetensors file (weights, optimizer moments, moving average; a JSON state travels in its header),
so it is replaced in one rename: there is no moment at which the tensors are new and the state is old.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from ...graph.atomic import write

NAME = "checkpoint.safetensors"


def save_checkpoint(folder: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write `tensors` and the JSON-able `state` as the checkpoint of `folder`."""
    held = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / NAME, save(held, metadata={"state": json.dumps(state)}))


def load_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The tensors and the state last saved in `folder`, or None where nothing was saved yet."""
    path = folder / NAME
    if not path.exists():
        return None
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        return tensors, json.loads(file.metadata()["state"])
