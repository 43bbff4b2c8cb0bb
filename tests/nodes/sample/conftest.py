"""Studios of the tiny models."""

from __future__ import annotations

from pathlib import Path

import pytest
from studio import Studio, open_studio


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
