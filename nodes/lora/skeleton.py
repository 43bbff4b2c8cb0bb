"""The layers of a model by name, from its configuration: nothing is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..models.inspect import layout, read_json, root
from ..types import Model

if TYPE_CHECKING:
    import torch

DENOISERS = ("unet", "transformer")
ENCODERS = ("text_encoder", "text_encoder_2", "text_encoder_3")

Shapes = Mapping[str, "torch.Size"]
"""Name of a linear layer or convolution -> shape of its weight."""


def skeleton(model: Model) -> dict[str, Shapes]:
    """The denoiser and the text encoders of `model`: part -> layers."""
    return {part.name: _shapes(_bare(model), part.name) for part in layout(model).weighted if part.name != "vae"}


def config_of(model: Model, part: str) -> dict[str, Any]:
    """What `part` is configured with."""
    return read_json(root(model) / part / "config.json")


def _bare(model: Model) -> Model:
    return Model(model.source, model.family, model.revision, model.fingerprint, config=model.config)


@lru_cache(maxsize=64)
def _shapes(model: Model, name: str) -> Shapes:
    import diffusers
    import torch
    import transformers
    from accelerate import init_empty_weights

    part = layout(model).part(name)
    config = config_of(model, name)
    with init_empty_weights():
        if part.library == "diffusers":
            module = getattr(diffusers, part.class_name).from_config(config)
        else:
            made = getattr(transformers, part.class_name)
            module = made(made.config_class.from_dict(config))
    kinds = (torch.nn.Linear, torch.nn.Conv2d)
    return {path: layer.weight.shape for path, layer in module.named_modules() if isinstance(layer, kinds)}
