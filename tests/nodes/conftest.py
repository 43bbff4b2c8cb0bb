"""What tests of nodes share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from studio import Studio, open_studio
from tiny import SIZE, T5_LENGTH, build_flux, build_pixart, build_sd3

from latentloom.graph.files import Files
from latentloom.nodes.load.load_model import load_model
from latentloom.nodes.types import Model


@pytest.fixture(scope="session", params=["sd", "sdxl"])
def pair(request: pytest.FixtureRequest, tiny_sd: Path, tiny_sdxl: Path) -> tuple[Model, Any]:
    """Our model and the stock pipeline of the same folder, for each family."""
    from diffusers.pipelines.auto_pipeline import AutoPipelineForText2Image

    folder = tiny_sd if request.param == "sd" else tiny_sdxl
    pipeline = AutoPipelineForText2Image.from_pretrained(folder, dtype=torch.float32)
    return load_model(folder.name, files=Files({"models": [folder.parent]})), pipeline


@pytest.fixture(scope="session")
def sd(tiny_sd: Path) -> Studio:
    return open_studio(tiny_sd)


@pytest.fixture(scope="session")
def sdxl(tiny_sdxl: Path) -> Studio:
    return open_studio(tiny_sdxl)


@pytest.fixture(params=["sd", "sdxl"])
def studio(request: pytest.FixtureRequest) -> Studio:
    """Both families."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def sd3(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    folder = build_sd3(tmp_path_factory.mktemp("models") / "tiny-sd3")
    return open_studio(folder, max_sequence_length=T5_LENGTH)


@pytest.fixture(scope="session")
def flux(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """The dev model's kind: told the guidance scale, times shifted by the picture's size."""
    folder = build_flux(tmp_path_factory.mktemp("models") / "tiny-flux")
    return open_studio(folder, max_sequence_length=T5_LENGTH, height=SIZE, width=SIZE)


@pytest.fixture(scope="session")
def pixart(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """Sigma."""
    folder = build_pixart(tmp_path_factory.mktemp("models") / "tiny-pixart")
    return open_studio(folder, max_sequence_length=T5_LENGTH, use_resolution_binning=False, clean_caption=False)
