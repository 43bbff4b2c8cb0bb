"""How heads are cut, and which configurations are tried."""

from __future__ import annotations

import pytest
import torch

launch = pytest.importorskip("latentloom.kernels.launch")


@pytest.mark.parametrize(
    ("head", "wide", "rest"),
    [
        (1, 16, 0),
        (16, 16, 0),
        (32, 32, 0),
        (40, 32, 16),
        (48, 32, 16),
        (64, 64, 0),
        (72, 64, 16),
        (80, 64, 16),
        (96, 64, 32),
        (112, 128, 0),
        (128, 128, 0),
        (160, 128, 32),
        (200, 256, 0),
        (256, 256, 0),
    ],
)
def test_a_head_is_one_power_of_two_or_two(head, wide, rest):
    assert launch.split(head) == (wide, rest)


def test_no_head_is_wider_than_its_next_power_of_two():
    for head in range(1, 257):
        wide, rest = launch.split(head)
        assert head <= wide + rest <= max(16, 1 << (head - 1).bit_length())


@pytest.mark.parametrize("head", [0, 257])
def test_heads_end_at_256(head):
    with pytest.raises(ValueError, match=f"a head of {head} does not fit"):
        launch.split(head)


@pytest.mark.parametrize(("length", "tile"), [(1, 1), (77, 1), (4096, 128), (32760, 8), (96, 32)])
def test_tiles_that_need_no_mask(length, tile):
    assert launch.alignment(length) == tile


@pytest.mark.parametrize(
    ("tensor", "eights"),
    [
        (torch.empty(2, 4096, 8, 40).transpose(1, 2), True),
        (torch.empty(2, 8, 77, 40), True),
        (torch.empty(1, 1, 77, 40).as_strided((1, 1, 77, 40), (1, 1, 40, 1)), True),
        (torch.empty(2, 8, 77, 36), False),
        (torch.empty(2, 8, 40, 77).transpose(2, 3), False),
    ],
)
def test_heads_that_lie_on_eights(tensor, eights):
    assert launch.head_of(tensor)["EIGHTS"] is eights
    assert launch.head_of(torch.empty(1, 1, 8, 40), tensor)["EIGHTS"] is eights
