"""Kernels run on the GPU where there is one, and by Triton's interpreter where there is none."""

from __future__ import annotations

import os

import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when a kernel is declared, so before any is imported


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
