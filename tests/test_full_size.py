"""The denoisers that are measured are as large as the published ones, weight by weight."""

from __future__ import annotations

import full_size
import pytest

PUBLISHED = {"sd15": 859_520_964, "sdxl": 2_567_463_684, "flux": 11_901_408_320}


@pytest.mark.parametrize("kind", PUBLISHED)
def test_a_denoiser_has_as_many_weights_as_the_published_one(kind: str) -> None:
    denoiser = full_size.build_denoiser(kind, "meta")
    assert sum(parameter.numel() for parameter in denoiser.parameters()) == PUBLISHED[kind]
