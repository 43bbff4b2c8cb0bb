"""Fixtures for all tests: tiny pipelines saved once a session, nothing asked of the network."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"


@pytest.fixture(scope="session")
def tiny_sd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny random Stable Diffusion 1.5-like pipeline (epsilon, PNDM)."""
    from tiny import build_sd

    return build_sd(tmp_path_factory.mktemp("models") / "tiny-sd")


@pytest.fixture(scope="session")
def tiny_sdxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny random Stable Diffusion XL-like pipeline (epsilon, Euler)."""
    from tiny import build_sdxl

    return build_sdxl(tmp_path_factory.mktemp("models") / "tiny-sdxl")
