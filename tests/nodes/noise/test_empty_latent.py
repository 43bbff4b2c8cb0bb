from __future__ import annotations

from pathlib import Path

import pytest

from latentloom.graph.files import Files
from latentloom.graph.node import NodeError
from latentloom.nodes.load.load_model import load_model
from latentloom.nodes.noise.empty_latent import empty_latent
from latentloom.nodes.types import Model


@pytest.fixture
def model(tiny_sd: Path) -> Model:
    return load_model(tiny_sd.name, files=Files({"models": [tiny_sd.parent]}))


def test_the_models_own_size(model: Model) -> None:
    assert empty_latent(model).samples.shape == (1, 4, 8, 8)


def test_a_size_asked_for(model: Model) -> None:
    empty = empty_latent(model, width=64, height=40, batch=3)
    assert empty.samples.shape == (3, 4, 10, 16)
    assert empty.sigma == 0
    assert not empty.samples.any()


def test_a_size_the_model_cannot_do(model: Model) -> None:
    with pytest.raises(NodeError) as refused:
        empty_latent(model, width=63, height=2)
    assert str(refused.value) == (
        "height 2 is not a multiple of 4, as this model needs; take 4. "
        "width 63 is not a multiple of 4, as this model needs; take 60 or 64."
    )
