"""A mask is one channel of a picture."""

import pytest
import torch
from PIL import Image as Pillow

from latentloom.graph.files import Files
from latentloom.graph.node import NodeError
from latentloom.nodes.image.load_mask import load_mask


@pytest.fixture
def files(tmp_path):
    picture = Pillow.new("RGBA", (3, 2), (255, 51, 0, 102))
    picture.save(tmp_path / "a.png")
    Pillow.new("L", (3, 2), 153).save(tmp_path / "grey.png")
    return Files({"input": [tmp_path]})


@pytest.mark.parametrize(("channel", "value"), [("red", 1.0), ("green", 0.2), ("blue", 0.0), ("alpha", 0.4)])
def test_a_channel_is_taken(files, channel, value):
    values = load_mask("a.png", channel, files=files).values
    assert values.shape == (1, 1, 2, 3)
    torch.testing.assert_close(values, torch.full((1, 1, 2, 3), value))


def test_brightness_and_its_opposite(files):
    torch.testing.assert_close(load_mask("grey.png", files=files).values, torch.full((1, 1, 2, 3), 0.6))
    torch.testing.assert_close(load_mask("grey.png", invert=True, files=files).values, torch.full((1, 1, 2, 3), 0.4))


def test_alpha_of_a_picture_without_transparency_gives_a_sentence(files):
    with pytest.raises(NodeError, match="no transparency"):
        load_mask("grey.png", "alpha", files=files)
