"""Keep a model with its LoRAs in its weights."""

from __future__ import annotations

import copy
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from ...graph.files import Files, Writes
from ...graph.node import NodeError, effect
from ...graph.problems import listed
from ...graph.progress import QUIET, Progress
from ..models.identity import identity
from ..models.inspect import read_json, root
from ..models.layouts import Layout
from ..models.live import use
from ..types import Folder, Model
from .applied import AppliedLora
from .blend import offloaded

Precision = Literal["float32", "float16", "bfloat16"]


@effect
def save_model(
    model: Model,
    name: Annotated[str, Writes(), Field(min_length=1, max_length=500, description="folder")] = "model",
    precision: Annotated[Precision, Field(description="of the weights")] = "float16",
    progress: Progress = QUIET,
    *,
    files: Files,
) -> Folder:
    """Write a model as a folder in diffusers' layout, with the LoRAs applied to it in its weights.

    The folder must be new. It loads with load_model, once it lies in a models folder, with trained_model, and with
    diffusers' pipelines, without a safety checker. Patches that change how the model is called, such as caches, are no
    weights and are refused, as are LoRAs whose strength follows a curve.
    """
    import torch

    others = [type(patch).__name__ for patch in model.patches if not isinstance(patch, AppliedLora)]
    if others:
        raise NodeError(f"Only LoRAs can be saved in weights; take {listed(others)} off the model.")
    worn = [patch for patch in model.patches if isinstance(patch, AppliedLora)]
    if any(patch.curve for patch in worn):
        raise NodeError("A LoRA whose strength follows a curve has other weights at each step; empty the curve.")
    model = replace(model, patches=tuple(replace(patch, way="fuse") for patch in worn))
    folder = files.target(name)
    if folder.exists():
        raise NodeError(f"{folder} is there already; a model is written to a new folder.")
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with use(model, progress) as parts:
            _copy_configuration(root(model), part, parts.layout)
            weighted = parts.layout.weighted
            for number, each in enumerate(weighted):
                progress.step(number, len(weighted), f"writing {each.name}")
                live = parts.take(each.name)
                if offloaded(live):
                    raise NodeError(
                        f"The {each.name} is offloaded; save the model without sequential or group offloading."
                    )
                saved = copy.deepcopy(live).to("cpu", getattr(torch, precision))
                saved.save_pretrained(part / each.name, safe_serialization=True)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    progress.note(files=[str(folder)])
    return Folder(str(folder), identity(folder))


def _copy_configuration(source: Path, target: Path, layout: Layout) -> None:
    """Tokenizers and the scheduler, and a model_index.json that names what there is."""
    index = read_json(source / "model_index.json")
    known = {part.name for part in layout.parts}
    for name, value in index.items():
        if isinstance(value, list) and len(value) == 2 and name not in known:
            index[name] = [None, None]
    if "requires_safety_checker" in index:
        index["requires_safety_checker"] = False
    target.mkdir(parents=True)
    (target / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", "utf-8")
    for part in layout.parts:
        if not part.weights and (source / part.name).is_dir():
            shutil.copytree(source / part.name, target / part.name)
