from __future__ import annotations

import importlib.util

import pytest
import torch
from diffusers.guiders import FrequencyDecoupledGuidance
from torch import Tensor
from toy import EMPTY, NEGATIVE, POSITIVE

from latentloom.graph.node import NodeError
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.guidance.fdg import fdg
from latentloom.nodes.guidance.guide import Conditions, Step
from latentloom.nodes.types import Conditioning, Guidance

pytest.importorskip("kornia")

STEP = Step(3, 10, torch.tensor(600), 1.0)


def answers(height: int, width: int) -> dict[int, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {id(each): torch.randn(2, 4, height, width, generator=generator) for each in (NEGATIVE, POSITIVE)}


def guided(guidance: Guidance, height: int = 16, width: int = 16) -> tuple[Tensor, int]:
    """The prediction for random answers, and how many branches were asked."""
    found, asked = answers(height, width), 0

    def predict(sample: Tensor, timestep: object, branches: tuple[Conditioning, ...]) -> tuple[Tensor, ...]:
        nonlocal asked
        asked += len(branches)
        return tuple(found[id(branch)] for branch in branches)

    guide = guidance.begin(Conditions(POSITIVE, NEGATIVE, lambda: EMPTY))
    return guide(predict, torch.zeros(2, 4, height, width), STEP), asked  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("scales", [[10.0, 5.0], [2.0, 4.0, 8.0]])
def test_it_is_what_the_class_gives(scales: list[float]) -> None:
    negative, positive = answers(16, 16).values()
    guider = FrequencyDecoupledGuidance(scales)
    guider.set_state(STEP.index, STEP.total, STEP.timestep)  # pyright: ignore[reportArgumentType]
    assert torch.equal(guided(fdg(scales))[0], guider.forward(positive, negative).pred)


@pytest.mark.parametrize("size", [(16, 16), (12, 20), (9, 7), (8, 12)])
def test_equal_scales_are_plain_guidance_for_any_size(size: tuple[int, int]) -> None:
    found, asked = guided(fdg([4.0, 4.0, 4.0]), *size)
    assert found.shape[-2:] == size
    assert torch.allclose(found, guided(cfg(4.0), *size)[0], rtol=0, atol=1e-4)
    assert asked == 2


def test_scales_of_one_ask_only_the_positive() -> None:
    found, asked = guided(fdg([1.0, 1.0]))
    assert torch.equal(found, guided(cfg(1.0))[0])
    assert asked == 1


@pytest.mark.parametrize("scales", [[9.0, 3.0], [1.0, 6.0], [6.0, 1.0]])
def test_each_scale_moves_its_own_level(scales: list[float]) -> None:
    """Also where one is 1, for which diffusers' class takes another level or none."""
    from kornia.geometry import pyrup
    from kornia.geometry.transform import build_laplacian_pyramid

    pyramids = [build_laplacian_pyramid(each, 2) for each in answers(16, 16).values()]
    fine, coarse = (e + w * (c - e) for e, c, w in zip(*pyramids, scales, strict=True))
    assert torch.allclose(guided(fdg(scales))[0], fine + pyrup(coarse), rtol=0, atol=1e-4)


def test_without_kornia_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "kornia" else find(name, *rest)
    )
    with pytest.raises(NodeError, match="pip install kornia"):
        fdg()
