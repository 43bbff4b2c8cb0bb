"""What a run takes: seconds, memory, and floating-point operations."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch

_PROCESS = Path("/proc/self")
"""What Linux tells of this process: https://docs.kernel.org/filesystems/proc.html."""


class Gauge:
    """Measures one run on `device`. Time and memory are taken in passing; counting operations (`count_flops`) slows the
    run down, so that its seconds are then not those of a run."""

    def __init__(self, device: torch.device, count_flops: bool = False) -> None:
        self._device, self._counter = device, _counter() if count_flops else None
        self._steps: list[tuple[Any, Any]] = []
        self.total_seconds = 0.0
        self.memory: int | None = None

    @contextmanager
    def run(self) -> Iterator[None]:
        """Around the whole run, which ends when its result has left the device."""
        held = _begin_peak(self._device)
        began = time.perf_counter()
        with self._counter or nullcontext():
            yield
        self.total_seconds = time.perf_counter() - began
        self.memory = None if held is None else max(0, _peak(self._device) - held)

    @contextmanager
    def step(self) -> Iterator[None]:
        """Around one evaluation."""
        began = _now(self._device)
        yield
        self._steps.append((began, _now(self._device)))

    @property
    def flops(self) -> int | None:
        """Operations counted; None where they were not to be."""
        return None if self._counter is None else self._counter.get_total_flops()

    def seconds(self, order: int) -> tuple[float, ...]:
        """Of each step, which is as many evaluations as its solver's `order`; to be read after the run."""
        times = [_between(began, ended) for began, ended in self._steps]
        return tuple(sum(times[start : start + order]) for start in range(0, len(times), order))


def _counter() -> Any:
    """PyTorch's counter, told of the attention of a CPU, which it would pass over. It sees no kernel that is started
    past PyTorch's operators: a Triton kernel must be one (`torch.library.triton_op`) with a formula registered."""
    from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

    def attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
        return sdpa_flop_count(query, key, value)

    on_cpu = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    return FlopCounterMode(display=False, custom_mapping={on_cpu: attention})


def _begin_peak(device: torch.device) -> int | None:
    """Forget the most that was held before. Bytes to take off the peak that follows; None where there is none."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return 0
    _trim()
    try:
        (_PROCESS / "clear_refs").write_text("5")
        return _peak(device)
    except (OSError, LookupError):  # no Linux, or one that does not let us
        return None


def _trim() -> None:
    """Give what the C library holds of freed memory back, where it can: a run that takes it up again would look free
    of cost."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # not the GNU library
        return


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    lines = (_PROCESS / "status").read_text().splitlines()
    peak = {name: value for name, _, value in (line.partition(":") for line in lines)}["VmHWM"]
    return int(peak.split()[0]) * 1024


def _now(device: torch.device) -> Any:
    """A moment of the device, which may lag behind the program."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            event = torch.cuda.Event(enable_timing=True)
            event.record()
        return event
    return time.perf_counter()


def _between(began: Any, ended: Any) -> float:
    """Seconds."""
    return ended - began if isinstance(began, float) else began.elapsed_time(ended) / 1000
