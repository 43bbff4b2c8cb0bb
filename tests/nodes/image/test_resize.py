"""Sizes are as asked for, and what was kept is what should be."""

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from latentloom.graph.node import NodeError, declaration
from latentloom.nodes.image.resize import resize
from latentloom.nodes.types import Image


@pytest.fixture
def image() -> Image:
    return Image(torch.rand(2, 3, 8, 16, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("mode", ["stretch", "cover", "contain"])
@pytest.mark.parametrize("filter", ["lanczos", "bicubic", "hamming", "bilinear", "box", "nearest"])
@pytest.mark.parametrize("size", [(5, 7), (40, 10), (63, 63), (1, 1)])
def test_the_size_is_as_asked_for(image, mode, filter, size):  # noqa: A002
    pixels = resize(image, *size, mode=mode, filter=filter).pixels
    assert pixels.shape == (2, 3, size[1], size[0]) and pixels.dtype == torch.float32
    assert pixels.min() >= 0 and pixels.max() <= 1


@pytest.mark.parametrize("mode", ["stretch", "cover", "contain"])
def test_the_same_size_changes_nothing(image, mode):
    assert torch.equal(resize(image, 16, 8, mode=mode).pixels, image.pixels)
    assert torch.equal(resize(image, 0, 0, mode=mode).pixels, image.pixels)


def test_a_side_of_zero_keeps_the_proportions(image):
    assert resize(image, 32, 0).pixels.shape[-2:] == (16, 32)
    assert resize(image, 0, 4).pixels.shape[-2:] == (4, 8)


def test_stretch_agrees_with_pillow_on_eight_bits():
    values = np.random.default_rng(1).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    image = Image(torch.from_numpy(values).permute(2, 0, 1)[None].float() / 255)
    expected = np.asarray(Pillow.fromarray(values).resize((9, 13), Pillow.Resampling.LANCZOS), dtype=np.float32) / 255
    ours = resize(image, 9, 13, mode="stretch").pixels[0].permute(1, 2, 0).numpy()
    assert np.abs(ours - expected).max() < 2 / 255  # Pillow rounds in between, we do not


def test_cover_cuts_both_sides_alike():
    pixels = torch.zeros(1, 3, 4, 8)
    pixels[..., 2:6] = 1
    assert resize(Image(pixels), 4, 4, mode="cover", filter="box").pixels.min() == 1


def test_contain_fills_the_rest_with_the_background():
    pixels = resize(Image(torch.zeros(1, 3, 4, 8)), 8, 8, mode="contain", background="#ff0000").pixels
    assert pixels[0, :, 2:6].max() == 0
    assert pixels[0, :, 1, 0].tolist() == [1, 0, 0] and pixels[0, :, 6, 7].tolist() == [1, 0, 0]


def test_a_wrong_colour_gives_a_sentence():
    with pytest.raises(ValueError, match="'whyte' is not a colour"):
        declaration(resize).settings["background"].validate("whyte")


def test_too_large_a_result_is_refused_before_it_is_made(image):
    with pytest.raises(NodeError, match="2 images of 16384 x 16384 pixels"):
        resize(image, 16384, 16384)
