"""Denoisers of every kind for what computes their attention."""

from __future__ import annotations

import pytest
from studio import Studio

KINDS = ("sd", "sdxl", "sd3", "flux", "pixart")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Studio:
    return request.getfixturevalue(request.param)
