"""Times on a GPU, taken so that they can be compared: in turns, in one run, as medians."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.attention import sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from .implementations import BACKENDS

DEVICE = "cuda"

NEEDS_GPU = "This benchmark needs an NVIDIA GPU, and PyTorch finds none on this machine."


class Shape(NamedTuple):
    """An attention of a model: its name, and batch, heads, queries, keys, head dimension."""

    name: str
    batch: int
    heads: int
    queries: int
    keys: int
    head: int

    def draw(self, dtype: torch.dtype, *, grad: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, laid out as projections give them."""

        def one(length: int) -> Tensor:
            drawn = torch.randn(self.batch, length, self.heads, self.head, dtype=dtype, device=DEVICE)
            return drawn.transpose(1, 2).requires_grad_(grad)

        return one(self.queries), one(self.keys), one(self.keys)

    @property
    def operations(self) -> int:
        """Of dense attention, forward."""
        return 4 * self.batch * self.heads * self.queries * self.keys * self.head


SELF = (
    Shape("SD 1.5", 2, 8, 4096, 4096, 40),
    Shape("SD 1.5, inner", 2, 8, 1024, 1024, 80),
    Shape("SD 1.5, innermost", 2, 8, 256, 256, 160),
    Shape("SDXL", 2, 10, 4096, 4096, 64),
    Shape("SDXL, inner", 2, 20, 1024, 1024, 64),
    Shape("Flux", 1, 24, 4608, 4608, 128),
    Shape("Wan 1.3B, 480p", 1, 12, 32760, 32760, 128),
)
CROSS = (
    Shape("SD 1.5, 77 words", 2, 8, 4096, 77, 40),
    Shape("SDXL, 77 words", 2, 10, 4096, 77, 64),
    Shape("Wan 1.3B, 512 words", 1, 12, 32760, 512, 128),
)


def seconds(calls: Mapping[str, Callable[[], object]], *, rounds: int = 15, at_least: float = 1e-3) -> dict[str, float]:
    """Of one call of each. Each round times all of them, one after the other, so that a clock that changes changes all;
    a call is repeated until `at_least` so many seconds pass.
    """
    repeats = {}
    for name, call in calls.items():
        call()
        call()  # the first compiles, and chooses between configurations
        repeats[name] = max(1, int(at_least / max(_time(call, 1), 1e-6)))
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            found[name].append(_time(call, repeats[name]))
    return {name: statistics.median(times) for name, times in found.items()}


def _time(call: Callable[[], object], repeats: int) -> float:
    began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    began.record()
    for _ in range(repeats):
        call()
    ended.record()
    ended.synchronize()
    return began.elapsed_time(ended) / 1e3 / repeats


def multiplication(dtype: torch.dtype) -> tuple[Callable[[], object], int]:
    """A large product of matrices, for the rate this device reaches, and its operations."""
    a, b = (torch.randn(8192, 8192, dtype=dtype, device=DEVICE) for _ in range(2))
    return lambda: a @ b, 2 * 8192**3


def dense(q: Tensor, k: Tensor, v: Tensor, back: Callable[[Tensor], object]) -> dict[str, Callable[[], object]]:
    """PyTorch's attention by each backend that can do this, and what `back` does with the result."""

    def call(name: str) -> object:
        with sdpa_kernel(BACKENDS[name]):
            return back(scaled_dot_product_attention(q, k, v))

    able = {}
    for name in ("sdpa_flash", "sdpa_cudnn", "sdpa_efficient"):
        try:
            call(name)
        except RuntimeError:  # this backend does not do this shape or type on this GPU
            continue
        able[name] = lambda name=name: call(name)
    return able


def differentiating(*inputs: Tensor) -> Callable[[Tensor], object]:
    """Back through a result to what it came from."""
    slopes: list[Tensor] = []

    def back(out: Tensor) -> object:
        if not slopes:
            slopes.append(torch.randn_like(out))
        return torch.autograd.grad(out, inputs, slopes[0])

    return back


# ---------------------------------------------------------------- the command


def benchmark(about: str, rows: Callable[[argparse.Namespace], Iterator[dict[str, Any]]], **options: float) -> None:
    """Read the command line, print each row as it is measured, and keep them all where `--out` says.

    `options` are further numbers with their defaults. Leaves with a sentence where there is no GPU.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--dtype", choices=("bfloat16", "float16", "float32"), default="bfloat16")
    parser.add_argument("--backward", action="store_true", help="forward and backward together")
    parser.add_argument("--out", type=Path, help="a JSON file for the results")
    for name, default in options.items():
        parser.add_argument(f"--{name}", type=float, default=default)
    given = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit(NEEDS_GPU)
    given.dtype = getattr(torch, given.dtype)
    found = []
    for row in rows(given):
        print("  ".join(f"{name} {_text(value)}" for name, value in row.items()), flush=True)
        found.append(row)
    if given.out:
        on = {"device": torch.cuda.get_device_name(), "torch": torch.__version__, "dtype": str(given.dtype)}
        given.out.write_text(json.dumps(on | {"rows": found}, indent=1) + "\n")


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def compared(
    shape: Shape, given: argparse.Namespace, calls: dict[str, Callable[[], object]], operations: int
) -> dict[str, Any]:
    """One row: `calls["ours"]` beside PyTorch's backends and the rate of a product of matrices, timed in turns.

    `operations` are those our call does. The ratio is the time of PyTorch's fastest backend over ours.
    """
    product, of_product = multiplication(given.dtype)
    times = seconds({"product": product, **calls})
    rate, peak = operations / times["ours"], of_product / times["product"]
    backends = {name: time for name, time in times.items() if name.startswith("sdpa")}
    row: dict[str, Any] = {
        "shape": shape.name,
        "size": "x".join(map(str, shape[1:])),
        "ms": times["ours"] * 1e3,
        "TFLOP/s": rate / 1e12,
        "of product": rate / peak,
    }
    if backends:
        best = min(backends, key=lambda name: backends[name])
        row |= {"fastest of PyTorch": best, "its ms": backends[best] * 1e3, "ratio": backends[best] / times["ours"]}
    return row | {
        f"{name} ms": time * 1e3 for name, time in times.items() if name not in ("ours", "product", *backends)
    }
