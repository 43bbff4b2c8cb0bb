"""What a model is, from its JSON files and the headers of its weights; nothing is loaded."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...graph.node import NodeError
from ..types import Model
from . import hub, weights
from .layouts import LAYOUTS, Description, Layout, Part, describe_configs, recognise, supported


def describe(model: Model) -> Description:
    """Sizes and kind of a model, from its configuration only. Raises `NodeError`."""
    return _describe(model.source, model.family, model.revision, model.config, model.fingerprint)


def root(model: Model) -> Path:
    """The folder with the model's configuration: its own, that of a single file, or the hub's copy here."""
    if model.config is not None:
        return Path(model.config)
    if hub.is_id(model.source):
        return hub.snapshot(model.source, model.revision, LAYOUTS[model.family])
    return Path(model.source)


def layout(model: Model) -> Layout:
    """The parts that a model has."""
    return _layout(model.source, model.family, model.revision, model.config, model.fingerprint)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object in a file. Raises `NodeError` with where it breaks."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise NodeError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise NodeError(f"{path} is not JSON: {error}.") from None
    if not isinstance(found, dict):
        raise NodeError(f"{path} holds no JSON object.")
    return found


def configs(folder: Path) -> dict[str, dict[str, Any]]:
    """The configuration of each part in a folder, by part."""
    found = {}
    for part in sorted(folder.iterdir()):
        for name in ("config.json", "scheduler_config.json"):
            if (part / name).is_file():
                found[part.name] = read_json(part / name)
    return found


def check_folder(folder: Path, with_weights: bool = True) -> Layout:
    """The layout of a folder in the stock diffusers arrangement whose parts are all there, its safetensors whole.

    Raises `NodeError`, all problems in one message.
    """
    index = folder / "model_index.json"
    if not index.is_file():
        raise NodeError(f"{folder} is no model: it has no model_index.json, as folders in diffusers' layout do.")
    layout, unfit = recognise(read_json(index), configs(folder))
    problems = [f"{folder} {reason}." for reason in unfit]
    for part in layout.weighted if layout else ():
        if not (folder / part.name / "config.json").is_file():
            problems.append(f"{folder} lacks {part.name}/config.json.")
        elif with_weights:
            try:
                weights.find(folder / part.name, part.weights)
            except NodeError as error:
                problems.append(str(error))
    if layout and not problems:
        problems += _unreadable(folder, layout)
    if problems or layout is None:
        raise NodeError("\n".join(problems))
    return layout


def check_file(path: Path) -> tuple[Layout, str]:
    """The layout of a whole single-file checkpoint, and diffusers' name of its kind. Raises `NodeError`."""
    tensors = weights.header(path)
    kind = _single_file_kind(tensors)
    layout = next((layout for layout in LAYOUTS.values() if kind in layout.single_files), None)
    if layout is None:
        raise NodeError(
            f"{path} is a checkpoint of the kind {kind}. Single files are read of {supported(single_files=True)}; "
            f"other models ({supported()}) as folders in diffusers' layout."
        )
    missing = [
        f"the {part.name} ({part.prefix}*)" for part in layout.weighted if not part.optional and not _in(tensors, part)
    ]
    if missing:
        raise NodeError(f"{path} is no whole checkpoint of {layout.title}: it lacks {', '.join(missing)}.")
    return layout, kind


def default_config(kind: str) -> str:
    """The hub repository whose configuration diffusers takes for a single file of `kind`."""
    from diffusers.loaders.single_file_utils import DIFFUSERS_DEFAULT_PIPELINE_PATHS

    return str(DIFFUSERS_DEFAULT_PIPELINE_PATHS[kind]["pretrained_model_name_or_path"])


def _in(tensors: dict[str, dict[str, Any]], part: Part) -> bool:
    return any(name.startswith(part.prefix) for name in tensors)


def _unreadable(folder: Path, layout: Layout) -> list[str]:
    """What of the configuration is not as its family writes it."""
    try:
        describe_configs(layout, configs(folder))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return [f"{folder} has a configuration whose values are not those of {layout.title} ({error!r})."]
    return []


def _single_file_kind(tensors: dict[str, dict[str, Any]]) -> str:
    import torch
    from diffusers.loaders.single_file_utils import infer_diffusers_model_type

    # diffusers tells the kind by names and shapes; tensors on "meta" have a shape and no memory.
    shapes = {name: torch.empty(tensor["shape"], device="meta") for name, tensor in tensors.items()}
    return str(infer_diffusers_model_type(shapes))


@lru_cache(maxsize=64)
def _layout(source: str, family: str, revision: str | None, config: str | None, fingerprint: str) -> Layout:
    folder = root(Model(source, family, revision, fingerprint, config=config))
    found = LAYOUTS[family].of(read_json(folder / "model_index.json"))
    if config is None:
        return found
    tensors = weights.header(Path(source))  # a single file may lack what its configuration has
    return found.without(part.name for part in found.weighted if part.optional and not _in(tensors, part))


@lru_cache(maxsize=64)
def _describe(source: str, family: str, revision: str | None, config: str | None, fingerprint: str) -> Description:
    folder = root(Model(source, family, revision, fingerprint, config=config))
    return describe_configs(LAYOUTS[family], configs(folder))
