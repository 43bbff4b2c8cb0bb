"""What was made is made again and compared, and what differs is named."""

from __future__ import annotations

import json

import pytest
from PIL import Image as Pillow

from latentloom.app.verify import changed
from latentloom.graph.provenance import read_provenance


@pytest.fixture
def picture(cli, workflow, tmp_path):
    assert cli("run", workflow, "--out", "out").exit_code == 0
    return next((tmp_path / "out").glob("*.png"))


def test_a_picture_comes_out_the_same(cli, picture):
    carried = read_provenance(picture)
    assert carried is not None
    assert "cpu" in carried.lock["machine"]
    told = cli("verify", picture, "--input", "input", "--json")
    assert told.exit_code == 0
    assert json.loads(told.stdout) == {"same": True, "largest_difference": 0, "pictures": 1, "lock": []}


def test_other_pixels_are_told_with_how_far_they_are(cli, picture, tmp_path):
    Pillow.new("RGB", (20, 10), (250, 0, 0)).save(tmp_path / "input/red.png")
    told = cli("verify", picture, "--input", "input")
    assert told.exit_code == 1
    assert "up to 5 of 255 apart" in told.output
    assert "The lock is the same" in told.output


def test_a_file_says_which_pixels_it_gives_once_it_was_written(cli, workflow, tmp_path):
    assert "--write" in cli("verify", workflow).output
    assert cli("verify", workflow, "--write").exit_code == 0
    locked = json.loads(workflow.read_text())["lock"]
    assert list(locked["pictures"]) == ["save"]
    assert cli("verify", workflow).exit_code == 0
    locked_file = json.loads(workflow.read_text())
    locked_file["lock"]["torch"] = "1.0"
    workflow.write_text(json.dumps(locked_file))
    same = cli("verify", workflow)
    assert same.exit_code == 0
    assert "torch was 1.0" in same.output
    Pillow.new("RGB", (20, 10), "blue").save(tmp_path / "input/red.png")
    told = cli("verify", workflow)
    assert told.exit_code == 1
    assert "Other pixels came out of save" in told.output


def test_every_part_of_a_lock_that_differs_is_named():
    then = {"torch": "1", "machine": "cuda float16", "models": {"a": "x", "b": "y", "c": "z"}}
    now = {"torch": "2", "machine": "cpu float32", "models": {"a": "x", "b": "w", "d": "v"}}
    found = " ".join(changed(then, now))
    for part in (
        "torch was 1 and is 2",
        "machine was cuda",
        '"b" has other weights: y then, w now',
        '"c" was used, and',
    ):
        assert part in found
    assert '"d" is used now' in found
    assert '"a"' not in found
