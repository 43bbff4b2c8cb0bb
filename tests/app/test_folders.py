"""Which folders are open, and in which order they are looked through."""

import os
from pathlib import Path

from latentloom.app import folders


def test_models_are_looked_for_where_they_were_named_first(monkeypatch):
    monkeypatch.setenv("LATENTLOOM_MODELS", os.pathsep.join(["/b", "/c", ""]))
    found = folders.model_folders([Path("/a"), Path("/b")])
    assert found[:3] == (Path("/a"), Path("/b"), Path("/c"))
    assert found[-1] == folders.SHIPPED / "models" and found[-2].name == "models"


def test_pictures_are_read_beside_the_workflow(monkeypatch, tmp_path):
    workflow = tmp_path / "work/flow.json"
    found = folders.input_folders(workflow, [Path("/given")])
    assert found == (
        Path("/given"),
        tmp_path / "work/input",
        tmp_path / "work",
        Path("input"),
        folders.SHIPPED / "input",
    )


def test_results_go_below_the_output_folder(tmp_path):
    files = folders.files(tmp_path / "a.json", [], [], tmp_path / "out")
    assert files.place("a/b.png") == tmp_path / "out/a/b.png"


def test_folders_that_are_none_are_told(tmp_path):
    (tmp_path / "file").write_text("")
    found = folders.problems([tmp_path / "file"], [tmp_path, tmp_path / "gone"], tmp_path / "file")
    assert [problem.sentence.split(" ")[0] for problem in found] == ["--input", "--models", "--out"]
    assert "not there" in found[1].sentence and "is a file" in found[2].sentence
    assert folders.problems([tmp_path], [tmp_path], tmp_path / "new") == []
