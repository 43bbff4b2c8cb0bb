"""Results as bytes and back, exactly, so that they can be kept on disk: a tree in JSON, then tensors as safetensors.

Never a pickle: what lies in a cache folder can make values, and cannot run code.
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

_LENGTH = 8
"""Bytes that say how long the tree is."""


class TensorCodec:
    """For plain values, tensors, and dataclasses, mappings, lists and tuples of them."""

    def encode(self, value: Any) -> bytes:
        """Raises `TypeError` for what is none of these."""
        from safetensors.torch import save

        tensors: dict[str, Tensor] = {}
        tree = json.dumps(_pack(value, tensors), separators=(",", ":")).encode()
        return len(tree).to_bytes(_LENGTH, "little") + tree + save(tensors)

    def decode(self, data: bytes) -> Any:
        """Raises an exception, of whatever kind, for bytes `encode` did not make, or whose classes are not here."""
        from safetensors.torch import load

        end = _LENGTH + int.from_bytes(data[:_LENGTH], "little")
        return _unpack(json.loads(data[_LENGTH:end]), load(data[end:]))


def _pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """`value` as JSON; what JSON does not have is a list that begins with its kind. Tensors go into `tensors`."""
    import torch

    if value is None or isinstance(value, bool | str) or type(value) is int:
        return value
    if type(value) is float:
        return value if math.isfinite(value) else ["float", repr(value)]
    if isinstance(value, torch.Tensor):
        key = str(len(tensors))
        # A copy of its own: safetensors refuses tensors that share memory.
        tensors[key] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return ["tensor", key]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return ["class", type(value).__module__, type(value).__qualname__, _pack(fields, tensors)]
    if isinstance(value, Mapping):
        return ["dict", *([_pack(key, tensors), _pack(part, tensors)] for key, part in value.items())]
    if type(value) in (list, tuple):
        return [type(value).__name__, *(_pack(part, tensors) for part in value)]
    raise TypeError(f"{type(value).__name__} is not kept on disk")


def _unpack(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    if not isinstance(tree, list):
        return tree
    kind, *parts = tree
    if kind == "float":
        return float(parts[0])
    if kind == "tensor":
        return tensors[parts[0]]
    if kind == "class":
        return _class(parts[0], parts[1])(**_unpack(parts[2], tensors))
    if kind == "dict":
        return {_unpack(key, tensors): _unpack(part, tensors) for key, part in parts}
    values = [_unpack(part, tensors) for part in parts]
    return {"list": list, "tuple": tuple}[kind](values)


def _class(module: str, name: str) -> type:
    """A dataclass of a module that is loaded anyway, as the nodes of the workflow are; nothing is imported."""
    found = getattr(sys.modules[module], name)
    if not (isinstance(found, type) and dataclasses.is_dataclass(found)):
        raise TypeError(f"{module}.{name} is no dataclass")
    return found
