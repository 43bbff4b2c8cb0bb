"""Pictures of every kind become the same tensor, and damaged ones a sentence."""

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from latentloom.graph.files import FileRefused, Files
from latentloom.graph.node import NodeError
from latentloom.nodes.image.load_image import load_image


def opened(folder: Path, name: str, **settings) -> torch.Tensor:
    return load_image(name, **settings, files=Files({"input": [folder]})).pixels


@pytest.fixture
def colours() -> Pillow.Image:
    """Left half red, right half blue, 6 x 4."""
    picture = Pillow.new("RGB", (6, 4), "red")
    picture.paste("blue", (3, 0, 6, 4))
    return picture


def test_a_picture_becomes_a_tensor_of_one(tmp_path, colours):
    colours.save(tmp_path / "a.png")
    pixels = opened(tmp_path, "a.png")
    assert pixels.shape == (1, 3, 4, 6) and pixels.dtype == torch.float32
    assert pixels[0, :, 0, 0].tolist() == [1, 0, 0] and pixels[0, :, 3, 5].tolist() == [0, 0, 1]


@pytest.mark.parametrize("ending", ["bmp", "tiff", "gif", "webp"])
def test_other_formats_give_the_same_tensor(tmp_path, colours, ending):
    colours.save(tmp_path / "a.png")
    colours.save(tmp_path / f"a.{ending}", **({"lossless": True} if ending == "webp" else {}))
    assert torch.equal(opened(tmp_path, f"a.{ending}"), opened(tmp_path, "a.png"))


def test_the_camera_s_orientation_is_followed(tmp_path, colours):
    exif = Pillow.Exif()
    exif[0x0112] = 6  # shown turned by a quarter to the right
    colours.save(tmp_path / "a.jpg", exif=exif, quality=100, subsampling=0)
    pixels = opened(tmp_path, "a.jpg")
    assert pixels.shape == (1, 3, 6, 4)
    assert pixels[0, 0, 0].min() > 0.9 and pixels[0, 2, 5].min() > 0.9  # red above, blue below


def test_transparent_parts_show_the_background(tmp_path):
    picture = Pillow.new("RGBA", (2, 1), (255, 0, 0, 0))
    picture.putpixel((1, 0), (255, 0, 0, 255))
    picture.save(tmp_path / "a.png")
    assert opened(tmp_path, "a.png")[0, :, 0].T.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert opened(tmp_path, "a.png", background="#0f0")[0, :, 0].T.tolist() == [[0, 1, 0], [1, 0, 0]]


def test_a_palette_with_a_transparent_entry_shows_the_background(tmp_path):
    picture = Pillow.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putpixel((1, 0), 1)
    picture.save(tmp_path / "a.png", transparency=0)
    assert opened(tmp_path, "a.png", background="lime")[0, :, 0].T.tolist() == [[0, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F"])
def test_every_kind_of_picture_is_opened(tmp_path, mode):
    grey = Pillow.new("L", (3, 2), 255)
    picture = Pillow.fromarray(np.full((2, 3), 65535, dtype=np.uint16)) if mode == "I;16" else grey.convert(mode)
    if mode == "I":
        picture = picture.point(lambda value: value * 257)
    elif mode == "F":
        picture = picture.point(lambda value: value * (1 / 255) + 0)
    ending = {"CMYK": "jpg", "YCbCr": "jpg", "F": "tiff", "I": "tiff"}.get(mode, "png")
    picture.save(tmp_path / f"a.{ending}")
    pixels = opened(tmp_path, f"a.{ending}")
    assert pixels.shape == (1, 3, 2, 3) and pixels.min() > 0.99


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    Pillow.fromarray(np.array([[0, 32896, 65535]], dtype=np.uint16)).save(tmp_path / "a.png")
    assert opened(tmp_path, "a.png")[0, 1, 0].tolist() == pytest.approx([0, 128 / 255, 1])


def test_of_an_animation_the_first_frame_is_taken(tmp_path):
    frames = [Pillow.new("RGB", (2, 2), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert opened(tmp_path, "a.gif")[0, :, 0, 0].tolist() == [1, 0, 0]


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "gif", "bmp", "tiff"])
def test_a_truncated_picture_gives_a_sentence(tmp_path, ending):
    buffer = io.BytesIO()
    noise = Pillow.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    noise.save(buffer, {"jpg": "jpeg"}.get(ending, ending))
    (tmp_path / f"a.{ending}").write_bytes(buffer.getvalue()[: len(buffer.getvalue()) * 6 // 10])
    with pytest.raises(NodeError, match=r"a\.\w+ is (damaged|not a picture)"):
        opened(tmp_path, f"a.{ending}")


def test_a_picture_cut_anywhere_is_whole_or_gives_a_sentence(tmp_path, colours):
    colours.save(tmp_path / "whole.png")
    whole = (tmp_path / "whole.png").read_bytes()
    expected, refused = opened(tmp_path, "whole.png"), 0
    for length in range(len(whole)):
        (tmp_path / "a.png").write_bytes(whole[:length])
        try:
            assert torch.equal(opened(tmp_path, "a.png"), expected)  # only checksums are missing
        except NodeError:
            refused += 1
    assert refused > len(whole) / 2


def test_too_many_pixels_give_a_sentence(tmp_path):
    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    for side in (10_000, 60_000):  # where Pillow warns, and where it refuses
        header = side.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
        data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
        (tmp_path / "bomb.png").write_bytes(data)
        with pytest.raises(NodeError, match="too many pixels"):
            opened(tmp_path, "bomb.png")


def test_what_is_no_picture_gives_a_sentence(tmp_path):
    (tmp_path / "a.png").write_text("not a picture")
    with pytest.raises(NodeError, match="PNG, JPEG"):
        opened(tmp_path, "a.png")
    (tmp_path / "folder").mkdir()
    with pytest.raises(NodeError, match="is a folder"):
        opened(tmp_path, "folder")


def test_a_postscript_file_is_not_handed_to_another_program(tmp_path):
    (tmp_path / "a.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with pytest.raises(NodeError, match="not a picture"):
        opened(tmp_path, "a.png")


@pytest.mark.parametrize("path", ["../a.png", "/etc/passwd", "missing.png", "..\\a.png"])
def test_a_path_outside_the_input_folders_is_refused(tmp_path, path):
    with pytest.raises(FileRefused):
        opened(tmp_path, path)
