"""Kernels compile for a GPU also where there is none: Triton brings the compiler and NVIDIA's assembler.

The interpreter takes more than the compiler does, and nothing else here runs what chooses between configurations.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
import math
import torch

torch.cuda.is_available = lambda: True
import triton
from triton.backends.compiler import GPUTarget


class Hopper:
    def get_current_target(self): return GPUTarget("cuda", 90, 32)
    def get_current_device(self): return 0
    def get_current_stream(self, device=0): return 0
    def get_active_torch_device(self): return torch.device("cpu")
    def get_benchmarker(self): return None


triton.runtime.driver.set_active(Hopper())
from latentloom.kernels import launch
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
                chosen = min(fit, key=lambda config: math.prod(config.kwargs.values())).all_kwargs()
                function, count = self.kernel.fn, len(fit)
            found = function.warmup(*arguments, grid=(1,), **constants, **chosen)
            assert found.asm["cubin"]
            print(self.name, count, found.metadata.shared)
        return compile


for module, name in (
    (kernel, "_forward"), (backward, "_of_keys"), (backward, "_of_queries"), (nag, "_both"), (nag, "_mix"),
):
    setattr(module, name, Compiled(name, getattr(module, name)))

q = torch.zeros(1, 100, 2, 40, dtype=torch.bfloat16).transpose(1, 2).requires_grad_()
kernel.flash_attention(q, q, q, bias=torch.ones(1, 1, 1, 100, dtype=torch.bool)).out.sum().backward()
with torch.no_grad():
    nag.nag_attention(q, q, q, q, q)
"""

MEMORY = 99 * 1024
"""Shared memory of one block on the smallest GPUs that run the kernels."""


def test_kernels_compile_and_their_smallest_tiles_fit_small_gpus():
    pytest.importorskip("triton")
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment, check=False)
    assert ran.returncode == 0, ran.stderr
    lines = [line.split() for line in ran.stdout.splitlines()]
    assert [name for name, *_ in lines] == ["_forward", "_of_keys", "_of_queries", "_both", "_mix"]
    assert all(int(count) > 1 for name, count, _ in lines if name != "_mix")
    assert all(int(shared) <= MEMORY for *_, shared in lines)
