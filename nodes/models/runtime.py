"""Where and how models run: the one place that decides device, dtype, layout, attention, compiling and offloading.

`RuntimeSettings` is what a person asks for, and is checked without PyTorch; `place` turns it into a `Placement`, what
is really done on this machine. The application sets the settings once with `use_settings`.
"""

from __future__ import annotations

import math
import os
import platform
import re
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

from ...graph.node import NodeError
from ...graph.problems import closest

if TYPE_CHECKING:
    import torch

GIB = 2**30

DTYPES = {"float32": "float32", "float16": "float16", "bfloat16": "bfloat16"}
DTYPES |= {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
OFFLOADS = {
    "none": "what fits the memory budget stays on the device",
    "model": "a part is on the device only while it is used",
    "group": "one layer of a part at a time, the next loaded meanwhile (diffusers' group offloading)",
    "sequential": "one layer of a part at a time, slowest and smallest (accelerate's cpu_offload)",
}
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
_SIZE = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(?:([GMKT])(?:i?B)?)?", re.IGNORECASE)


@dataclass(frozen=True)
class RuntimeSettings:
    """What is asked for. "auto" leaves the choice to `place`. Wrong values raise `ValueError`, all in one message.

    device: auto, cpu, mps, cuda or cuda:N. dtype: auto, float32, float16, bfloat16. memory_gb: how much of the device's
    memory (of the computer's, on the CPU) parts of models may fill, in GiB; None is 80 % of what is free.
    channels_last: the memory layout of convolutions. attention: a backend of diffusers, or auto. compile: torch.compile
    of the denoiser. offload: see `OFFLOADS`.
    """

    device: str = "auto"
    dtype: str = "auto"
    memory_gb: float | None = None
    channels_last: bool | Literal["auto"] = "auto"
    attention: str = "auto"
    compile: bool = False
    offload: str = "none"

    def __post_init__(self) -> None:
        problems = []
        if not _DEVICE.fullmatch(self.device):
            problems.append(f"device {self.device!r} is none of auto, cpu, mps, cuda, cuda:N.")
        if self.dtype not in ("auto", *DTYPES):
            problems.append(_none_of("dtype", self.dtype, ("auto", *DTYPES)))
        if self.memory_gb is not None and not (math.isfinite(self.memory_gb) and self.memory_gb > 0):
            problems.append(f"memory of {self.memory_gb} GB is not a size; give more than 0, e.g. 6.")
        if self.channels_last not in (True, False, "auto"):
            problems.append(f"channels_last {self.channels_last!r} is none of true, false, auto.")
        if self.offload not in OFFLOADS:
            problems.append(_none_of("offload", self.offload, tuple(OFFLOADS)))
        if problems:
            raise ValueError(" ".join(problems))


@dataclass(frozen=True)
class Placement:
    """What is done on this machine. `memory` is the budget in bytes, None where it follows what is free."""

    device: torch.device
    dtype: torch.dtype
    channels_last: bool = False
    attention: str = "auto"
    compile: bool = False
    offload: str = "none"
    memory: int | None = None

    @property
    def hooked(self) -> bool:
        """Whether hooks bring each layer to the device when it computes; parts then stay in the computer's memory."""
        return self.offload in ("group", "sequential")

    def facts(self) -> dict[str, Any]:
        """What was chosen, for the run's report."""
        import torch

        return {
            "device": _device_name(self.device),
            "dtype": str(self.dtype).removeprefix("torch."),
            "channels_last": self.channels_last,
            "attention": self.attention,
            "compile": self.compile,
            "offload": self.offload,
            "memory_gb": None if self.memory is None else round(self.memory / GIB, 3),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "diffusers": version("diffusers"),
        }


settings = RuntimeSettings()
"""What holds now; set with `use_settings`."""


def use_settings(wanted: RuntimeSettings) -> None:
    """Make `wanted` hold from now on, in every thread. Parts already in use stay as they are."""
    global settings
    settings = wanted


def salt(wanted: RuntimeSettings) -> str:
    """What of the settings changes numbers, for the keys of kept results. Raises `NodeError` as `place` does."""
    placed = place(wanted)
    chosen = (placed.device.type, placed.dtype, placed.channels_last, placed.attention, placed.compile)
    return " ".join(str(value) for value in chosen)


@cache
def place(wanted: RuntimeSettings, half: str = "float16") -> Placement:
    """Settle what was left open; `half` is the half precision that a model was published for. Raises `NodeError` for
    what this machine cannot do, all problems in one message."""
    import torch

    device = torch.device(_best_device() if wanted.device == "auto" else wanted.device)
    problems = _missing(device)
    if wanted.dtype == "auto":
        # float16 where a model bears it: it keeps three bits more than bfloat16.
        dtype = torch.float32 if device.type == "cpu" else getattr(torch, half)
    else:
        dtype = getattr(torch, DTYPES[wanted.dtype])
    if wanted.offload != "none" and device.type == "cpu":
        problems.append(f"offload {wanted.offload!r} frees a GPU's memory, and this run is on the CPU; leave it none.")
    problems += _unknown_attention(wanted.attention)
    if problems:
        raise NodeError(" ".join(problems))
    return Placement(
        device=device,
        dtype=dtype,
        channels_last=device.type == "cuda" if wanted.channels_last == "auto" else wanted.channels_last,
        attention=wanted.attention,
        compile=wanted.compile,
        offload=wanted.offload,
        memory=None if wanted.memory_gb is None else int(wanted.memory_gb * GIB),
    )


def parse_gb(text: str) -> float:
    """A size as a person writes it, in GiB: "6", "6GB", "1.5 GiB", "512MB". Raises `ValueError` with a sentence."""
    found = _SIZE.fullmatch(text.strip())
    size = float(found[1]) / {"T": 1 / 1024, "G": 1, "M": 1024, "K": 1024**2}[(found[2] or "G").upper()] if found else 0
    if not size > 0:
        raise ValueError(f"{text!r} is not a size of memory; write it as 6, 6GB or 512MB.")
    return size


def free_memory(device: torch.device) -> int:
    """Bytes that could be had on `device` now."""
    import psutil
    import torch

    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return free + unused
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return psutil.virtual_memory().available


def _best_device() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _missing(device: torch.device) -> list[str]:
    import torch

    if device.type == "cuda":
        there = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= there:
            count = f"{there} CUDA device{'s' if there > 1 else ''}" if there else "no CUDA device"
            return [
                f"device {str(device)!r} is asked for, and PyTorch finds {count} here; auto takes {_best_device()}."
            ]
    if device.type == "mps" and not torch.backends.mps.is_available():
        return [f"device 'mps' is asked for, and this is no Apple GPU; auto takes {_best_device()}."]
    return []


def _unknown_attention(name: str) -> list[str]:
    if name == "auto":
        return []
    from diffusers.models.attention_dispatch import AttentionBackendName

    known = ("auto", *(backend.value for backend in AttentionBackendName))
    return [] if name in known else [_none_of("attention", name, known)]


def _none_of(what: str, value: str, accepted: tuple[str, ...]) -> str:
    meant = closest(value, accepted)
    hint = f" Did you mean {meant}?" if meant else ""
    return f"{what} {value!r} is none of {', '.join(accepted)}.{hint}"


def _device_name(device: torch.device) -> str:
    import torch

    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} ({device})"
    return f"{'Apple GPU' if device.type == 'mps' else 'CPU'} ({platform.machine()}, {os.cpu_count()} cores)"
