"""Files are named as asked for, whole, never written over, and tell how they were made."""

import json
import threading
from pathlib import Path

import pytest
import torch
from PIL import Image as Pillow

from latentloom.graph.files import FileRefused, Files
from latentloom.graph.node import NodeError, declaration
from latentloom.graph.progress import Cancelled, Progress
from latentloom.graph.provenance import Provenance, read_provenance
from latentloom.nodes.image.load_image import load_image
from latentloom.nodes.image.save_image import save_image
from latentloom.nodes.types import Image

WORKFLOW = '{"format": 1,\n  "name": "Größe ✓", "nodes": {}}\n'
PROVENANCE = Provenance(
    WORKFLOW, {"noise.seed": 7, "prompt.text": "a/../b: c"}, {"torch": "2.13.0"}, name="cat", node="keep"
)
IMAGE = Image(torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(3)))


def saved(folder: Path, image: Image = IMAGE, provenance: Provenance = PROVENANCE, **settings) -> list[str]:
    """Save, and give the names of the files that were noted as written, below `folder`."""
    noted: dict = {}
    progress = Progress(on_note=noted.update)
    save_image(image, **settings, progress=progress, provenance=provenance, files=Files(writing=folder))
    return [Path(file).relative_to(folder).as_posix() for file in noted["files"]]


def test_a_batch_is_saved_image_by_image(tmp_path):
    assert saved(tmp_path) == ["cat_0001.png", "cat_0002.png"]
    for index, name in enumerate(["cat_0001.png", "cat_0002.png"]):
        pixels = load_image(name, files=Files({"input": [tmp_path]})).pixels[0]
        assert (pixels - IMAGE.pixels[index]).abs().max() <= 0.5 / 255 + 1e-6


def test_the_next_free_counter_is_taken(tmp_path):
    (tmp_path / "cat_0001.png").write_text("mine")
    (tmp_path / "cat_0003.png").write_text("mine")
    assert saved(tmp_path) == ["cat_0002.png", "cat_0004.png"]
    assert (tmp_path / "cat_0001.png").read_text() == "mine"


def test_a_name_without_a_counter_is_made_new(tmp_path):
    assert saved(tmp_path, name="a") == ["a.png", "a_2.png"]
    assert saved(tmp_path, name="a") == ["a_3.png", "a_4.png"]


def test_placeholders_are_filled_in(tmp_path):
    name = "{workflow}/{node}-{index}-{noise.seed}-{prompt.text}-{counter}"
    assert saved(tmp_path, name=name) == ["cat/keep-0-7-a_.._b_c-0001.png", "cat/keep-1-7-a_.._b_c-0001.png"]


def test_date_and_time_are_of_now(tmp_path):
    (name, _) = saved(tmp_path, name="{date} {time} {index}")
    day, time, _ = name.split(" ")
    assert day.startswith("20") and day.count("-") == 2 and len(time) == 6 and time.isdigit()


def test_a_setting_that_no_node_has_gives_a_sentence(tmp_path):
    with pytest.raises(NodeError, match=r"\{noise.sed\} in the name is unknown. Did you mean \"noise.seed\""):
        saved(tmp_path, name="{noise.sed}")


@pytest.mark.parametrize("name", ["{countr}", "a{", "}", "a\nb", "", "{a{b}}"])
def test_a_wrong_name_is_told_before_anything_runs(name):
    with pytest.raises(ValueError, match=r"in the name is unknown|neither control|at least 1"):
        declaration(save_image).settings["name"].validate(name)


@pytest.mark.parametrize("name", ["../a", "/tmp/a", "a/../../b", "C:/a", "a\\b"])
def test_nothing_is_written_outside_the_output_folder(tmp_path, name):
    with pytest.raises(FileRefused):
        saved(tmp_path / "out", name=name)
    assert not list(tmp_path.rglob("*.png"))


def test_a_link_out_of_the_output_folder_is_not_followed(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/link").symlink_to(tmp_path)
    (tmp_path / "out/b.png").symlink_to(tmp_path / "elsewhere.png")
    with pytest.raises(FileRefused, match="link"):
        saved(tmp_path / "out", name="link/a")
    with pytest.raises(FileRefused, match="link"):
        saved(tmp_path / "out", name="b")
    assert not list(tmp_path.glob("*.png"))


def test_values_cannot_name_folders_or_be_too_long(tmp_path):
    evil = Provenance(WORKFLOW, {"a.b": "../../../etc/passwd", "a.long": "x" * 5000}, name="../..")
    assert saved(tmp_path, provenance=evil, name="{a.b}{workflow}") == ["etc_passwd_.png", "etc_passwd__2.png"]
    assert len(saved(tmp_path, provenance=evil, name="{a.long}")[0]) == 84
    with pytest.raises(NodeError, match="too long"):
        saved(tmp_path, name="x" * 300)


@pytest.mark.parametrize(("format", "kind"), [("png", "PNG"), ("jpeg", "JPEG"), ("webp", "WEBP")])
def test_formats(tmp_path, format, kind):  # noqa: A002
    (name, _) = saved(tmp_path, format=format)
    assert name == f"cat_0001.{format}"
    with Pillow.open(tmp_path / name) as picture:
        assert picture.format == kind and picture.size == (7, 5)


def test_quality_shows_in_the_size(tmp_path):
    image = Image(torch.rand(1, 3, 64, 64))
    for format in ("jpeg", "webp"):  # noqa: A001
        for quality in (10, 90):
            saved(tmp_path, image, name=str(quality), format=format, quality=quality)
        assert (tmp_path / f"10.{format}").stat().st_size < (tmp_path / f"90.{format}").stat().st_size


def test_an_ending_that_is_named_is_not_doubled(tmp_path):
    assert saved(tmp_path, name="a.png")[0] == "a.png"
    assert saved(tmp_path, name="b.png", format="webp")[0] == "b.png.webp"


def test_a_png_carries_workflow_settings_and_lock(tmp_path):
    (name, _) = saved(tmp_path)
    found = read_provenance(tmp_path / name)
    assert found is not None and found.workflow == WORKFLOW
    assert found.settings == PROVENANCE.settings and found.lock == PROVENANCE.lock
    with Pillow.open(tmp_path / name) as picture:
        assert json.loads(picture.info["latentloom.settings"])["noise.seed"] == 7


def test_what_carries_nothing_gives_none(tmp_path):
    saved(tmp_path, name="a", format="jpeg")
    saved(tmp_path, provenance=Provenance(), name="a")
    (tmp_path / "a.txt").write_text("hello")
    for name in ("a.jpeg", "a.png", "a.txt", "missing.png"):
        assert read_provenance(tmp_path / name) is None


def test_many_at_once_never_meet(tmp_path):
    names: list[str] = []
    threads = [threading.Thread(target=lambda: names.extend(saved(tmp_path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names) == 16 and sorted(names) == sorted(file.name for file in tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_gives_a_sentence(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(FileRefused, match="cannot be written"):
        saved(tmp_path, name="file/a")


def test_values_that_are_no_numbers_give_a_sentence_and_no_file(tmp_path):
    with pytest.raises(NodeError, match="not numbers"):
        saved(tmp_path, Image(torch.full((1, 3, 2, 2), torch.inf)))
    assert not list(tmp_path.iterdir())


def test_an_image_too_large_for_its_format_gives_a_sentence(tmp_path):
    with pytest.raises(NodeError, match="20000 x 1 pixels cannot be saved as webp"):
        saved(tmp_path, Image(torch.zeros(1, 3, 1, 20_000)), format="webp")
    assert not list(tmp_path.iterdir())


def test_a_cancelled_run_writes_no_more(tmp_path):
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        save_image(IMAGE, progress=Progress(cancel=cancel), provenance=PROVENANCE, files=Files(writing=tmp_path))
    assert not list(tmp_path.iterdir())
