"""Kernels compile for a GPU also where there is none: Triton brings the compiler and NVIDIA's assembler.

The interpreter takes more than the compiler does, and nothing else here runs what chooses between configurations.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import NamedTuple

import pytest

SCRIPT = """
import math
import torch

torch.cuda.is_available = lambda: True
import triton
from triton.backends.compiler import GPUTarget


class Driver:
    architecture = 90

    def get_current_target(self): return GPUTarget("cuda", self.architecture, 32)
    def get_current_device(self): return self.architecture
    def get_current_stream(self, device=0): return 0
    def get_active_torch_device(self): return torch.device("cpu")
    def get_benchmarker(self): return None


triton.runtime.driver.set_active(Driver())
from latentloom.kernels import launch
from latentloom.kernels.blocks import prepare
from latentloom.kernels.flash_attention import backward, kernel
from latentloom.kernels.nag_attention import kernel as nag

assert launch.TUNED


class Compiled:
    def __init__(self, name, kernel):
        self.name, self.kernel = name, kernel

    def __getitem__(self, grid):
        def compile(*arguments, **constants):
            function, chosen, count = self.kernel, {}, 1
            if isinstance(self.kernel, triton.runtime.Autotuner):
                self.kernel.nargs = dict(zip(self.kernel.arg_names, arguments))
                fit = self.kernel.prune_configs(constants)
                fit = [config for config in fit if config.kwargs.get("TMA")] or fit
                chosen = min(fit, key=lambda config: math.prod(config.kwargs.values())).all_kwargs()
                function, count = self.kernel.fn, len(fit)
            found = function.warmup(*arguments, grid=(1,), **constants, **chosen)
            assert found.asm["cubin"]
            loads = found.asm["ptx"].count("cp.async.bulk.tensor")
            print(self.name, Driver.architecture, count, found.metadata.shared, loads)
        return compile


for module, name in (
    (kernel, "_forward"), (backward, "_of_keys"), (backward, "_of_queries"), (nag, "_both"), (nag, "_mix"),
):
    setattr(module, name, Compiled(name, getattr(module, name)))

q = torch.zeros(1, 100, 2, 40, dtype=torch.bfloat16).transpose(1, 2).requires_grad_()
kernel.flash_attention(q, q, q, bias=torch.ones(1, 1, 1, 100, dtype=torch.bool)).out.sum().backward()
with torch.no_grad():
    nag.nag_attention(q, q, q, q, q)

blocks = prepare(torch.ones(1, 1, 2, 2, dtype=torch.bool), 64)
launch.has_tma = lambda device: Driver.architecture >= 90
for Driver.architecture, head, listed in ((80, 64, None), (90, 40, blocks), (100, 64, None)):
    q = torch.zeros(1, 100, 2, head, dtype=torch.bfloat16).transpose(1, 2)
    kernel.attention(q, q, q, blocks=listed)
"""

MEMORY = 99 * 1024
"""Shared memory of one block on the smallest GPUs that run the kernels."""


class Line(NamedTuple):
    name: str
    architecture: int
    configurations: int
    shared: int
    loads: int


@pytest.fixture(scope="module")
def compiled() -> list[Line]:
    pytest.importorskip("triton")
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment, check=False)
    assert ran.returncode == 0, ran.stderr
    return [Line(name, *map(int, rest)) for name, *rest in map(str.split, ran.stdout.splitlines())]


def test_kernels_compile_and_their_smallest_tiles_fit_small_gpus(compiled: list[Line]):
    lines = compiled[:5]
    assert [line.name for line in lines] == ["_forward", "_of_keys", "_of_queries", "_both", "_mix"]
    assert all(line.configurations > 1 for line in lines if line.name != "_mix")
    assert all(line.shared <= MEMORY and line.loads == 0 for line in lines)


def test_keys_and_values_are_loaded_by_descriptors_where_a_gpu_has_them(compiled: list[Line]):
    ampere, *newer = compiled[5:]
    assert (ampere.architecture, ampere.loads) == (80, 0)
    assert [line.architecture for line in newer] == [90, 100]
    assert all(line.loads > 0 for line in newer)
