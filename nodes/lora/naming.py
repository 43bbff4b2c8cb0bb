"""Which layer a name in a LoRA file means.

A kohya file writes a layer's name with `_` for `.`, behind a prefix for the part; what was trained on the original code
of Stable Diffusion XL or Flux has that code's names, which diffusers' converters know. diffusers puts the part before
the name, peft `base_model.model.`, others nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import SimpleNamespace

from ..types import Model
from .skeleton import DENOISERS, ENCODERS, Shapes, config_of

KOHYA = {
    "lora_unet_": DENOISERS,
    "lora_transformer_": DENOISERS,
    "lora_te_": ENCODERS[:1],
    "lora_te1_": ENCODERS[:1],
    "lora_te2_": ENCODERS[1:2],
    "lora_te3_": ENCODERS[2:],
}
_IGNORED = ("base_model.model.", "diffusion_model.", "model.")
_T5_OF_FLUX = {"lora_te3_": ENCODERS[1:2]}

Place = tuple[str, str]
"""Part and module."""


def places(names: Iterable[str], model: Model, layers: Mapping[str, Shapes]) -> dict[str, Place]:
    """Name in a file -> the layer it means, for those of `names` that mean one of `layers` (part -> its layers)."""
    found = {name: place for name in names if (place := _place(name, model, layers))}
    left = [name for name in names if name not in found and name.startswith("lora_unet_")]
    if left and model.family in ("sd", "sdxl"):
        for name, module in _of_original(left, model).items():
            if module in layers["unet"]:
                found[name] = ("unet", module)
    return found


def _place(name: str, model: Model, layers: Mapping[str, Shapes]) -> Place | None:
    for prefix, parts in {**KOHYA, **(_T5_OF_FLUX if model.family == "flux" else {})}.items():
        if name.startswith(prefix):
            flat = name.removeprefix(prefix)
            return next((p for part in parts if part in layers if (p := _flat(flat, part, layers[part]))), None)
    part, _, module = name.partition(".")
    if part in layers:
        return _dotted(module, part, layers[part])
    for prefix in _IGNORED:
        name = name.removeprefix(prefix)
    return next((place for part in layers if (place := _dotted(name, part, layers[part]))), None)


def _dotted(module: str, part: str, layers: Shapes) -> Place | None:
    """Text encoders lost or kept `text_model.` from one version of transformers to the next."""
    spelled = (module, module.removeprefix("text_model."), f"text_model.{module}")
    return next(((part, each) for each in spelled if each in layers), None)


def _flat(flat: str, part: str, layers: Shapes) -> Place | None:
    known = {module.replace(".", "_"): module for module in layers}
    spelled = (flat, flat.removeprefix("text_model_"), f"text_model_{flat}")
    return next(((part, known[each]) for each in spelled if each in known), None)


def _of_original(names: list[str], model: Model) -> dict[str, str]:
    """Layers of a UNet by the names of the original code: diffusers' converter renames one numbered tensor for each."""
    import torch
    from diffusers.loaders.lora_conversion_utils import (
        _convert_non_diffusers_lora_to_diffusers,
        _maybe_map_sgm_blocks_to_diffusers,
    )
    from diffusers.utils import convert_unet_state_dict_to_peft

    marked = {}
    for number, name in enumerate(names):
        marked |= {f"{name}.lora_down.weight": torch.tensor(number), f"{name}.lora_up.weight": torch.tensor(-1)}
    unet = SimpleNamespace(layers_per_block=config_of(model, "unet").get("layers_per_block", 2))
    try:
        renamed, _ = _convert_non_diffusers_lora_to_diffusers(_maybe_map_sgm_blocks_to_diffusers(marked, unet))
    except (ValueError, IndexError, KeyError):
        return {}  # names that the converter does not know either; the caller says so
    return {
        names[int(number)]: name.removeprefix("unet.").split(".lora")[0]
        for name, number in convert_unet_state_dict_to_peft(renamed).items()
        if number >= 0
    }
