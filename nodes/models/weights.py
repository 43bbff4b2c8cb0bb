"""Weights are read from safetensors only, never from pickles, which can run code; and each file is whole before it is
read. Only headers are looked at here: a length of 8 bytes, JSON that names each tensor's place, then the tensors.

Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...graph.node import NodeError

_LONGEST_HEADER = 100_000_000
_PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
_CONVERT = "DiffusionPipeline.from_pretrained(folder).save_pretrained(new_folder, safe_serialization=True)"


@dataclass(frozen=True)
class Weights:
    """The files of one part's weights and the variant in their names ("fp16")."""

    files: tuple[Path, ...]
    variant: str | None = None


def header(path: Path) -> dict[str, dict[str, Any]]:
    """Name -> {dtype, shape, data_offsets} of each tensor in a whole safetensors file. Raises `NodeError`."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(64)
        # A header of 640, 896, 1152 or 1408 bytes begins with the same two bytes; JSON follows its length.
        protocol = start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05" and start[8:9] != b"{"
        if start[:4] == b"PK\x03\x04" or protocol:
            raise NodeError(
                f"{path} is a pickle by its content, whatever its name says. A pickle can run code when it is opened, "
                f"so it is not; convert it where you trust it: {_CONVERT}."
            )
        if start.startswith(b"version https://git-lfs"):
            raise NodeError(f"{path} is a pointer of Git LFS, not the weights; fetch them with `git lfs pull`.")
        length = int.from_bytes(start[:8], "little")
        if size < 8 or length > _LONGEST_HEADER:
            raise NodeError(f"{path} is no safetensors file: it does not start with a header's length.")
        if length > size - 8:
            raise NodeError(f"{path} is cut off inside its header ({size} bytes); copy or download it again.")
        file.seek(8)
        raw = file.read(length)
    try:
        tensors = json.loads(raw)
        tensors.pop("__metadata__", None)
        end = 8 + length + max((int(tensor["data_offsets"][1]) for tensor in tensors.values()), default=0)
        sound = all(isinstance(tensor["shape"], list) for tensor in tensors.values())
    except (ValueError, AttributeError, KeyError, TypeError, IndexError, RecursionError):
        sound = False
    if not sound:
        raise NodeError(f"{path} is no safetensors file: its header is not the JSON it should be.")
    if end != size:
        wrong = "cut off" if size < end else "longer than it should be"
        raise NodeError(f"{path} is {wrong}: {size} bytes of {end}; copy or download it again.")
    return tensors


def elements(path: Path, prefix: str = "") -> int:
    """How many numbers a safetensors file holds in tensors whose names begin with `prefix`."""
    return sum(math.prod(tensor["shape"]) for name, tensor in header(path).items() if name.startswith(prefix))


def find(folder: Path, name: str) -> Weights:
    """The weights called `name` in `folder`, each file whole. Raises `NodeError`: none there, or only pickles."""
    for variant in (None, "fp16"):
        infix = f".{variant}" if variant else ""
        index = folder / f"{name}.safetensors.index{infix}.json"
        single = folder / f"{name}{infix}.safetensors"
        if single.is_file():
            header(single)
            return Weights((single,), variant)
        if index.is_file():
            return Weights(_shards(index), variant)
    pickles = sorted(p.name for p in folder.glob("*") if p.suffix in _PICKLES) if folder.is_dir() else []
    if pickles:
        raise NodeError(
            f"{folder} holds its weights as pickles ({', '.join(pickles[:3])}). Weights are read from safetensors "
            f"only: a pickle can run code when it is opened. Convert them where you trust them: {_CONVERT}."
        )
    raise NodeError(f"{folder} has no {name}.safetensors.")


def _shards(index: Path) -> tuple[Path, ...]:
    try:
        names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError):
        raise NodeError(f"{index} is not the list of files it should be.") from None
    missing = [name for name in names if Path(name).name != name or not (index.parent / name).is_file()]
    if missing:
        raise NodeError(f"{index.parent} lacks {', '.join(missing)}, named in {index.name}.")
    files = tuple(index.parent / name for name in names)
    for file in files:
        header(file)
    return files
