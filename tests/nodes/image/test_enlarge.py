"""Pixels are repeated, never blurred."""

import torch

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
