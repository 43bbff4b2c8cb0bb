"""Pixels are repeated, never blurred."""

import pytest
import torch

from latentloom.graph.node import NodeError
from latentloom.nodes.image.enlarge import enlarge
from latentloom.nodes.types import Image


def test_each_pixel_becomes_a_square():
    pixels = torch.rand(2, 3, 3, 5)
    large = enlarge(Image(pixels), at_least=7).pixels
    assert large.shape == (2, 3, 9, 15)
    assert torch.equal(large[..., ::3, ::3], pixels) and torch.equal(large[..., 2::3, 2::3], pixels)


def test_a_large_image_stays_as_it_is():
    pixels = torch.rand(1, 3, 8, 9)
    assert torch.equal(enlarge(Image(pixels), at_least=8).pixels, pixels)


def test_too_large_a_result_is_refused_before_it_is_made():
    with pytest.raises(NodeError, match="2048000 x 4096 pixels"):
        enlarge(Image(torch.zeros(1, 3, 2, 1000)), at_least=4096)
