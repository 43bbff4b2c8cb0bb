"""Denoisers of every kind for what computes their attention."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from studio import Studio
from torch import Tensor

from latentloom.kernels import implementations
from latentloom.kernels.blocks import elements
from latentloom.kernels.flash_attention.reference import Attention, flash_attention

KINDS = ("sd", "sdxl", "sd3", "flux", "pixart")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Studio:
    return request.getfixturevalue(request.param)


@pytest.fixture
def on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is chosen where our kernel runs; its definition, to which its own tests hold it, stands in for it."""

    def attention(q: Tensor, k: Tensor, v: Tensor, *, bias: Any, blocks: Any, scale: Any, causal: bool) -> Attention:
        assert bias is None or blocks is None
        seen = bias if blocks is None else elements(blocks, q.shape[2], k.shape[2])
        return flash_attention(q, k, v, bias=seen, scale=scale, causal=causal)

    monkeypatch.setattr(implementations, "_no_triton", lambda device: None)
    kernel = "latentloom.kernels.flash_attention.kernel"
    monkeypatch.setitem(sys.modules, kernel, SimpleNamespace(attention=attention))  # pyright: ignore[reportArgumentType]
