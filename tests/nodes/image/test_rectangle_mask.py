"""The rectangle lies where it was said to lie."""

import pytest
import torch

from latentloom.graph.node import NodeError
from latentloom.nodes.image.rectangle_mask import rectangle_mask
from latentloom.nodes.types import Image

IMAGE = Image(torch.zeros(2, 3, 8, 16))


def test_it_is_one_inside_and_zero_outside():
    values = rectangle_mask(IMAGE, left=0.25, top=0.5, right=0.5, bottom=1.0).values
    expected = torch.zeros(2, 1, 8, 16)
    expected[:, :, 4:, 4:8] = 1
    assert torch.equal(values, expected)
    assert torch.equal(rectangle_mask(IMAGE, 0.25, 0.5, 0.5, 1.0, invert=True).values, 1 - expected)


def test_the_whole_image():
    assert rectangle_mask(IMAGE, 0, 0, 1, 1).values.min() == 1


def test_feather_is_a_straight_ramp_halved_by_the_border():
    row = rectangle_mask(IMAGE, 0.5, 0, 1, 1, feather=0.5).values[0, 0, 4]  # 4 pixels of 8
    assert row.tolist()[5:11] == [0, 0.125, 0.375, 0.625, 0.875, 1]


@pytest.mark.parametrize("edges", [(0.5, 0, 0.5, 1), (0, 0.7, 1, 0.6)])
def test_an_empty_rectangle_gives_a_sentence(edges):
    with pytest.raises(NodeError, match="rectangle is empty"):
        rectangle_mask(IMAGE, *edges)
