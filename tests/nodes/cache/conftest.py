"""The UNet all tests of caches run, and what it is given."""

from __future__ import annotations

import pytest
from diffusers import UNet2DConditionModel
from ladder import inputs, small_unet
from torch import Tensor


@pytest.fixture(scope="session")
def unet() -> UNet2DConditionModel:
    return small_unet()


@pytest.fixture(scope="session")
def samples() -> list[Tensor]:
    return inputs()
