"""One part of a model from its files into memory, by diffusers' and transformers' own loaders, ready to be placed."""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from ...graph.node import NodeError
from ..types import Model
from . import weights
from .inspect import read_json, root
from .layouts import DENOISERS, Part
from .runtime import Placement

_KERNELS = {
    "native": None,
    "_native_math": "MATH",
    "_native_flash": "FLASH_ATTENTION",
    "_native_efficient": "EFFICIENT_ATTENTION",
    "_native_cudnn": "CUDNN_ATTENTION",
}
"""Attention backends of diffusers that are PyTorch's own kernels, by the name PyTorch has for them."""


def load(model: Model, part: Part, dtype: torch.dtype) -> nn.Module:
    """The module of `part` on the CPU, in `dtype`, for inference: `eval`, and no gradient for its weights.

    Raises `NodeError` where the files are not what they should be.
    """
    _hush()
    source = Path(model.source)
    try:
        module = _from_file(source, root(model), part, dtype) if source.is_file() else _from_folder(model, part, dtype)
    except Exception as error:  # whatever a stranger's configuration makes the libraries stumble over
        raise NodeError(f"The {part.name} of {model.source} cannot be loaded: {error}") from error
    return module.eval().requires_grad_(False)


def size(model: Model, part: Part, dtype: torch.dtype) -> int:
    """About how many bytes `part` fills, from the headers of its files."""
    source = Path(model.source)
    if source.is_file():
        return weights.elements(source, part.prefix) * dtype.itemsize
    files = weights.find(root(model) / part.name, part.weights).files
    return sum(weights.elements(file) for file in files) * dtype.itemsize


def tokenizer(model: Model, part: Part) -> Any:
    """The tokenizer `part`; these are small and stay."""
    return _tokenizer(root(model) / part.name, part, model.fingerprint)


def scheduler_config(model: Model) -> dict[str, Any]:
    """What the model's own scheduler was configured with; empty where it has none."""
    path = root(model) / "scheduler" / "scheduler_config.json"
    return read_json(path) if path.is_file() else {}


def prepare(module: nn.Module, part: Part, placement: Placement) -> nn.Module:
    """Give a loaded module the layout, attention, offloading and compiling asked for."""
    if placement.channels_last and part.library == "diffusers":
        cast(Any, module).to(memory_format=torch.channels_last)
    if part.name in DENOISERS:
        _set_attention(module, placement.attention)
    _offload(module, placement)
    if part.name in DENOISERS and placement.compile:
        module.compile()
    return module


def attention_kernel(name: str) -> Any:
    """A context in which PyTorch's attention takes the kernel `name` asks for; for `auto`, the one it prefers."""
    from contextlib import nullcontext

    kernel = _KERNELS.get(name)
    if kernel is None:
        return nullcontext()
    from torch.nn.attention import SDPBackend, sdpa_kernel

    return sdpa_kernel(getattr(SDPBackend, kernel))


def _from_folder(model: Model, part: Part, dtype: torch.dtype) -> nn.Module:
    folder = root(model) / part.name
    found = weights.find(folder, part.weights)
    return _class(part).from_pretrained(
        folder, dtype=dtype, use_safetensors=True, variant=found.variant, local_files_only=True
    )


def _from_file(file: Path, config: Path, part: Part, dtype: torch.dtype) -> nn.Module:
    from diffusers.loaders import single_file_utils

    cls = _class(part)
    checkpoint = single_file_utils.load_single_file_checkpoint(str(file), local_files_only=True)
    if part.library == "diffusers":
        return cls.from_single_file(
            checkpoint, config=str(config), subfolder=part.name, torch_dtype=dtype, local_files_only=True
        )
    make = single_file_utils.create_diffusers_clip_model_from_ldm
    if part.class_name == "T5EncoderModel":
        make = single_file_utils.create_diffusers_t5_model_from_checkpoint
    encoder = make(cls, checkpoint, subfolder=part.name, config=str(config), torch_dtype=dtype, local_files_only=True)
    return encoder.to(dtype)


@lru_cache(maxsize=16)
def _tokenizer(folder: Path, part: Part, fingerprint: str) -> Any:
    _hush()
    try:
        return _class(part).from_pretrained(folder, local_files_only=True)
    except Exception as error:  # as above
        raise NodeError(f"The tokenizer in {folder} cannot be loaded: {error}") from error


def _class(part: Part) -> Any:
    if part.library == "diffusers":
        import diffusers as library
    else:
        import transformers as library
    return getattr(library, part.class_name)


def _hush() -> None:
    """Loading is told through `Progress`; the libraries' own bars and hints would tear the command line's."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    diffusers_logging.disable_progress_bar()
    if diffusers_logging.get_verbosity() < logging.ERROR:
        diffusers_logging.set_verbosity_error()
    if transformers_logging.get_verbosity() < logging.ERROR:
        transformers_logging.set_verbosity_error()


def _set_attention(module: nn.Module, name: str) -> None:
    if name == "auto" or name in _KERNELS:
        return
    processors = [getattr(m, "processor", None) for m in module.modules()]
    if name == "xformers":
        cast(Any, module).enable_xformers_memory_efficient_attention()
    elif any(hasattr(processor, "_attention_backend") for processor in processors):
        cast(Any, module).set_attention_backend(name)
    else:
        # diffusers would take the name and change nothing: this attention does not ask for the backend.
        raise NodeError(
            f"attention {name!r} has no effect on this model's denoiser; it takes {', '.join(('auto', *_KERNELS))} "
            "and xformers."
        )


def _offload(module: nn.Module, placement: Placement) -> None:
    if placement.offload == "sequential":
        from accelerate import cpu_offload

        cpu_offload(module, placement.device, offload_buffers=len(module._parameters) > 0)
    elif placement.offload == "group":
        from diffusers.hooks.group_offloading import apply_group_offloading

        apply_group_offloading(
            module,
            onload_device=placement.device,
            offload_device=torch.device("cpu"),
            offload_type="leaf_level",
            use_stream=placement.device.type == "cuda",
        )
