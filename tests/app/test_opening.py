"""A workflow is found by its path or its name, and in the picture it made."""

import json

import pytest
from PIL import Image as Pillow

from latentloom.app import opening
from latentloom.graph.document import WorkflowError


@pytest.fixture(autouse=True)
def shipped(tmp_path, monkeypatch):
    """Stands for the workflows that ship; the current folder is beside it."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    (folder / "text_to_image.json").write_text('{"format": 1, "name": "shipped"}')
    monkeypatch.setattr(opening, "SHIPPED", folder)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return folder


def test_a_path_comes_before_a_name(tmp_path, shipped):
    assert opening.find("text_to_image") == shipped / "text_to_image.json"
    assert opening.find("text_to_image.json") == shipped / "text_to_image.json"
    (tmp_path / "here/text_to_image.json").write_text('{"format": 1}')
    assert opening.find("text_to_image").resolve() == tmp_path / "here/text_to_image.json"
    assert opening.find(str(shipped / "text_to_image.json")) == shipped / "text_to_image.json"


def test_a_shipped_workflow_in_a_folder_has_the_folder_in_its_name(shipped):
    (shipped / "train").mkdir()
    (shipped / "train/model.json").write_text('{"format": 1}')
    assert opening.find("train/model") == shipped / "train/model.json"
    with pytest.raises(WorkflowError, match='Did you mean "train/model"'):
        opening.find("train/modle")
    with pytest.raises(WorkflowError, match="There is no file"):
        opening.find("train/../../shipped/text_to_image")


def test_what_is_not_there_is_told_with_what_is_near(tmp_path):
    (tmp_path / "here/portrait.json").write_text("{}")
    for name, hint in {
        "text_to_imag": 'Did you mean "text_to_image"',
        "portait.json": 'Did you mean "portrait.json"',
        "xyz": "Workflows that ship: text_to_image",
        "folder/text_to_image": "There is no file",
        "x" * 5000: "cannot be opened",
    }.items():
        with pytest.raises(WorkflowError, match=hint):
            opening.find(name)
    with pytest.raises(WorkflowError, match="is a folder"):
        opening.find(str(tmp_path / "here"))


def test_a_picture_without_a_workflow_gives_a_sentence(tmp_path):
    for name in ("a.png", "a.jpg"):
        Pillow.new("RGB", (2, 2)).save(tmp_path / name)
        with pytest.raises(WorkflowError, match="carries no workflow"):
            opening.read(tmp_path / name)
    (tmp_path / "broken.png").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    with pytest.raises(WorkflowError, match="carries no workflow"):
        opening.read(tmp_path / "broken.png")


def test_files_of_earlier_formats_are_upgraded(tmp_path):
    (tmp_path / "old.json").write_text(json.dumps({"format": 0, "nodes": {}, "wires": []}))
    assert len(opening.read(tmp_path / "old.json").changes) == 1
