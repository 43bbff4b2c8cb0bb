"""What wires carry, as bytes and back: safetensors for the tensors, and JSON in their metadata for what is around them.

Never a pickle: what lies in a cache folder can make values, and cannot run code.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

_PLAIN = (type(None), bool, int, float, str)
_STRUCTURE = "structure"


class TensorCodec:
    """For plain values, tensors, and dataclasses, dicts, lists and tuples of them, of exactly these types.

    Exact: types, values and every bit of a tensor come back; only the layout in memory is always contiguous.
    """

    def encode(self, value: Any) -> bytes:
        """Raises `TypeError` for other values, for tensors that are not on the CPU, and for those with gradients."""
        from safetensors.torch import save

        tensors: dict[int, tuple[str, Tensor]] = {}
        structure = json.dumps(_taken_apart(value, tensors))
        # One buffer each: safetensors refuses tensors that share one, as two views of a batch do.
        return save({key: tensor.contiguous().clone() for key, tensor in tensors.values()}, {_STRUCTURE: structure})

    def decode(self, data: bytes) -> Any:
        """Raises an exception, of whatever kind, for bytes `encode` did not make, or whose classes are not loaded."""
        from safetensors.torch import load

        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        return _put_together(json.loads(header["__metadata__"][_STRUCTURE]), load(data))


def _taken_apart(value: Any, tensors: dict[int, tuple[str, Tensor]]) -> Any:
    """`value` as JSON; anything JSON does not have is an object that names its kind."""
    import torch

    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is torch.Tensor:
        if value.device.type != "cpu" or value.requires_grad or value.layout != torch.strided:
            raise TypeError("Only dense tensors on the CPU, without gradients, are kept.")
        return {"tensor": tensors.setdefault(id(value), (str(len(tensors)), value))[0]}
    if kind in (tuple, list):
        return {kind.__name__: [_taken_apart(part, tensors) for part in value]}
    if kind is dict:
        return {"dict": [[_taken_apart(part, tensors) for part in pair] for pair in value.items()]}
    if dataclasses.is_dataclass(kind):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(kind)}
        parts = {name: _taken_apart(part, tensors) for name, part in fields.items()}
        return {"class": [kind.__module__, kind.__qualname__], "fields": parts}
    raise TypeError(f"A {kind.__module__}.{kind.__qualname__} is nothing that is kept.")


def _put_together(structure: Any, tensors: Mapping[str, Tensor]) -> Any:
    if not isinstance(structure, dict):
        return structure
    if "tensor" in structure:
        return tensors[structure["tensor"]]
    if "tuple" in structure:
        return tuple(_put_together(part, tensors) for part in structure["tuple"])
    if "list" in structure:
        return [_put_together(part, tensors) for part in structure["list"]]
    if "dict" in structure:
        return {_put_together(key, tensors): _put_together(part, tensors) for key, part in structure["dict"]}
    parts = {name: _put_together(part, tensors) for name, part in structure["fields"].items()}
    return _dataclass(*structure["class"])(**parts)


def _dataclass(module: str, name: str) -> type:
    """One of a module that is loaded anyway, as those of the workflow's nodes are: nothing is imported for it."""
    found = getattr(sys.modules[module], name)
    if not (isinstance(found, type) and dataclasses.is_dataclass(found)):
        raise TypeError(f"{module}.{name} is no dataclass.")
    return found
