"""Pictures from strangers are decoded within limits, and given on bare; those there are can be chosen and seen."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from latentloom.app.folders import SHIPPED
from latentloom.app.workspace import pictures, uploads
from latentloom.app.workspace.refusals import Missing
from latentloom.app.workspace.workspace import Workspace
from latentloom.graph.problems import Refused


def picture_bytes(form: str = "PNG", size: tuple[int, int] = (40, 20), mode: str = "RGB", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Pillow.new(mode, size, "red" if mode == "RGB" else 0).save(buffer, form, **options)
    return buffer.getvalue()


def stored(workspace, upload) -> Pillow.Image:
    return Pillow.open(workspace.uploads.picture(upload.path))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_picture_is_taken_in_as_png_under_a_random_name(workspace, folder, form):
    first, second = (workspace.uploads.save(picture_bytes(form)) for _ in range(2))
    assert first.path != second.path and first.path.startswith("uploads/") and first.path.endswith(".png")
    assert (first.width, first.height) == (40, 20)
    file = folder / "input" / first.path
    assert file == workspace.uploads.picture(first.path)
    with Pillow.open(file) as picture:
        assert picture.format == "PNG" and picture.size == (40, 20)
        assert np.abs(np.asarray(picture.convert("RGB"), int)[5, 5] - (255, 0, 0)).max() < 8
    assert first.path in workspace.uploads.choices("input")
    assert workspace.places.files.find(first.path) == file


def test_pictures_are_turned_upright_and_lose_what_came_along(workspace):
    picture, exif = Pillow.new("RGB", (40, 20), "red"), Pillow.Exif()
    picture.paste("blue", (0, 0, 20, 20))
    exif[0x0112], exif[0x010E] = 6, "where I live"  # to be turned by 90 degrees; a description
    info = PngInfo()
    info.add_text("secret", "where I live")
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", exif=exif, pnginfo=info, icc_profile=b"where I live")
    upload = workspace.uploads.save(buffer.getvalue())
    assert (upload.width, upload.height) == (20, 40)
    with stored(workspace, upload) as kept:
        assert kept.info == {} and not kept.getexif()
        assert kept.getpixel((10, 5)) == (0, 0, 255) and kept.getpixel((10, 35)) == (255, 0, 0)
    assert b"where I live" not in workspace.uploads.picture(upload.path).read_bytes()


@pytest.mark.parametrize(
    ("mode", "kept"), [("RGBA", "RGBA"), ("LA", "RGBA"), ("L", "RGB"), ("P", "RGB"), ("1", "RGB"), ("I;16", "RGB")]
)
def test_every_mode_becomes_eight_bit_colour(workspace, mode, kept):
    with stored(workspace, workspace.uploads.save(picture_bytes("PNG", mode=mode))) as picture:
        assert picture.mode == kept


def test_sixteen_bits_are_scaled_and_not_cut_off(workspace):
    buffer = io.BytesIO()
    Pillow.fromarray(np.full((8, 8), 257 * 100, np.uint16)).save(buffer, "PNG")
    with stored(workspace, workspace.uploads.save(buffer.getvalue())) as picture:
        assert picture.getpixel((0, 0)) == (100, 100, 100)


def bomb(width: int, height: int) -> bytes:
    """A PNG file of a few bytes that says it is that large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (b"IHDR", head), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [8001, 9500, 14_000, 60_000])
def test_a_picture_with_too_many_pixels_is_refused_before_it_is_decoded(workspace, folder, side):
    with pytest.raises(Refused, match="64 million are taken in"):
        workspace.uploads.save(bomb(side, side))
    assert not folder.exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a picture",
        b'{"format": 1}',
        picture_bytes("JPEG")[:-300],
        picture_bytes()[:40],
        b"%PDF-1.4",
        bomb(90, 90),
    ],
)
def test_what_is_no_whole_picture_is_refused(workspace, folder, data):
    with pytest.raises(Refused) as refused:
        workspace.uploads.save(data)
    assert str(refused.value).endswith(".") and not folder.exists()


def test_other_formats_of_pillow_are_not_opened(workspace):
    buffer = io.BytesIO()
    Pillow.new("RGB", (8, 8)).save(buffer, "EPS")
    with pytest.raises(Refused, match="no picture that can be read"):
        workspace.uploads.save(buffer.getvalue())


def test_a_file_that_is_too_long_is_refused(workspace, monkeypatch):
    monkeypatch.setattr(pictures, "MAX_BYTES", 10)
    with pytest.raises(Refused, match="are taken in"):
        workspace.uploads.save(picture_bytes())


# ---------------------------------------------------------------- choices


def test_pictures_of_all_input_folders_can_be_chosen(tmp_path, folder):
    for name in ("input/b.png", "input/in/A.jpg", "input/.hidden.png", "input/x.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(picture_bytes())
    for name in ("flow.json", "beside.png", "input/below.webp", "else/deep.png"):
        (tmp_path / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "project" / name).write_bytes(picture_bytes())
    workspace = Workspace(folder, opened=tmp_path / "project/flow.json")
    first, second = (workspace.uploads.save(picture_bytes()).path for _ in range(2))
    Path(workspace.uploads.picture(first)).touch()
    found = workspace.uploads.choices("input")
    assert found == ["b.png", "below.webp", "beside.png", "drawing.png", "in/A.jpg", first, second]
    for choice in found:
        assert workspace.places.files.find(choice) == workspace.uploads.picture(choice)
    workspace.close()


def test_models_can_be_chosen(workspace, folder):
    (folder / "models/group").mkdir(parents=True)
    (folder / "models/tiny").symlink_to(SHIPPED / "models/shapes-unet")
    (folder / "models/group/other").symlink_to(SHIPPED / "models/shapes-unet")
    (folder / "models/broken.safetensors").write_bytes(b"no")
    assert workspace.uploads.choices("models") == ["group/other", "tiny", "shapes-dit", "shapes-unet"]


def test_there_is_nothing_else_to_choose(workspace):
    with pytest.raises(Refused, match="input and models"):
        workspace.uploads.choices("loras")


# ---------------------------------------------------------------- seen


def test_thumbnails_are_small_and_made_anew_when_the_picture_changes(workspace, folder):
    (folder / "input").mkdir(parents=True)
    (folder / "input/a.png").write_bytes(picture_bytes(size=(400, 200)))
    data = workspace.uploads.thumbnail("a.png", 64)
    with Pillow.open(io.BytesIO(data)) as small:
        assert (small.format, small.size) == ("WEBP", (64, 32))
    uploads._thumbnail.cache_clear()
    workspace.uploads.thumbnail("a.png", 64)
    workspace.uploads.thumbnail("a.png", 64)
    assert uploads._thumbnail.cache_info().hits == 1
    (folder / "input/a.png").write_bytes(picture_bytes(size=(200, 400)))
    with Pillow.open(io.BytesIO(workspace.uploads.thumbnail("a.png", 64))) as small:
        assert small.size == (32, 64)
    with Pillow.open(io.BytesIO(workspace.uploads.thumbnail("a.png", 1024))) as small:
        assert small.size == (200, 400)


@pytest.mark.parametrize("size", [0, 15, 1025, -64])
def test_thumbnails_of_other_sizes_are_refused(workspace, size):
    with pytest.raises(Refused, match="16 to 1024"):
        workspace.uploads.thumbnail("drawing.png", size)


@pytest.mark.parametrize(
    "path", ["../a.png", "/etc/a.png", ".hidden/a.png", "a\\b.png", "", "a//b.png", "a.txt", "a:b.png"]
)
def test_other_files_are_not_shown(workspace, folder, path):
    with pytest.raises(Refused) as refused:
        workspace.uploads.picture(path)
    assert not isinstance(refused.value, Missing)


def test_missing_pictures_and_folders(workspace, folder):
    (folder / "input/a.png").mkdir(parents=True)
    for path in ("b.png", "a.png"):
        with pytest.raises(Missing):
            workspace.uploads.picture(path)


def test_links_that_lead_out_are_not_shown(workspace, folder, tmp_path):
    (tmp_path / "secret.png").write_bytes(picture_bytes())
    (folder / "input").mkdir(parents=True)
    (folder / "input/a.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(Refused, match="by a link"):
        workspace.uploads.picture("a.png")
