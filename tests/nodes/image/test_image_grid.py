"""Every image is on the sheet, in its place, with its label."""

import pytest
import torch

from latentloom.graph.node import NodeError
from latentloom.nodes.image.image_grid import image_grid
from latentloom.nodes.types import Image

COLOURS = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1]])


def plain(*rows: int, height: int = 4, width: int = 6) -> Image:
    return Image(COLOURS[list(rows)].view(-1, 3, 1, 1).repeat(1, 1, height, width))


def test_images_and_batches_follow_each_other_row_by_row():
    sheet = image_grid((plain(0), plain(1, 2), plain(3)), columns=3, gap=2, scale=1).pixels
    assert sheet.shape == (1, 3, 2 * (4 + 2) + 2, 3 * (6 + 2) + 2)
    for place, colour in enumerate(COLOURS[:4]):
        top, left = 2 + place // 3 * 6, 2 + place % 3 * 8
        cell = sheet[0, :, top : top + 4, left : left + 6]
        assert torch.equal(cell, colour.view(3, 1, 1).expand(3, 4, 6))
    assert sheet[0, :, :2].min() == 1 and sheet[0, :, 8:12, 10:].min() == 1  # gaps and empty cells are white


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (2, 2), (3, 2), (5, 3), (9, 3), (10, 4)])
def test_the_sheet_is_nearly_square(count, columns):
    sheet = image_grid((plain(*[0] * count, height=1, width=1),), gap=0, scale=1).pixels
    assert sheet.shape[-1] == columns and sheet.shape[-2] == -(-count // columns)


def test_small_images_are_enlarged_by_a_whole_factor():
    assert image_grid((plain(0, height=32, width=32),), gap=0).pixels.shape[-2:] == (192, 192)
    assert image_grid((plain(0, height=200, width=300),), gap=0).pixels.shape[-2:] == (200, 300)
    assert image_grid((plain(0),), gap=0, scale=3).pixels.shape[-2:] == (12, 18)


def test_different_sizes_are_centred():
    sheet = image_grid((plain(0, height=4, width=4), plain(1, height=2, width=2)), gap=0, scale=1).pixels
    assert torch.equal(sheet[0, :, 1:3, 5:7], COLOURS[1].view(3, 1, 1).expand(3, 2, 2))
    assert sheet[0, :, 0, 4:].min() == 1


@pytest.mark.parametrize(("background", "ink"), [("white", 0), ("black", 1)])
def test_a_label_stands_under_its_image(background, ink):
    labels = "Euler\nDPM++ 2M with a long name that needs more than one line to be read"
    sheet = image_grid((plain(0, 1, height=64, width=64),), labels=labels, background=background, gap=4).pixels[0]
    left, right = sheet[:, 4 + 192 :, :200], sheet[:, 4 + 192 :, 200:]
    for part in (left, right):
        assert ((part - ink).abs().amax(0) < 0.5).sum() > 50  # written with ink
    assert ((right - ink).abs().amax(0) < 0.5).sum() > ((left - ink).abs().amax(0) < 0.5).sum()
    assert sheet.shape[-1] == 2 * 192 + 3 * 4  # a long label is broken, the cell no wider


def test_bad_wishes_give_sentences():
    with pytest.raises(NodeError, match="no image"):
        image_grid(())
    with pytest.raises(NodeError, match="2 labels for 1 images"):
        image_grid((plain(0),), labels="a\nb")
    with pytest.raises(NodeError, match="million"):
        image_grid((plain(0, height=8000, width=1), plain(0, height=1, width=8000)), columns=2, scale=1)
    with pytest.raises(NodeError, match="12800 x 12800"):
        image_grid((plain(0, height=200, width=200),), scale=64)
    with pytest.raises(NodeError, match="not numbers"):
        image_grid((Image(torch.full((1, 3, 2, 2), torch.nan)),))
