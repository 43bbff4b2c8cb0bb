"""A run from the command line: what it writes, prints and returns."""

import json
import os
import time

import pytest
from PIL import Image as Pillow

from latentloom.graph.provenance import read_provenance
from latentloom.nodes.image import resize


def test_a_run_writes_its_picture_and_says_so(cli, workflow, tmp_path):
    result = cli("run", workflow)
    assert result.exit_code == 0 and "saved out/Twice_0001.png" in result.stdout
    for part in ("load", "big", "save", "3 nodes: 3 done"):
        assert part in result.stdout
    assert result.stderr == ""  # no bars where no person looks
    with Pillow.open(tmp_path / "out/Twice_0001.png") as picture:
        assert picture.size == (40, 20) and picture.getpixel((0, 0)) == (255, 0, 0)


def test_the_report_for_programs(cli, workflow):
    result = cli("run", workflow, "--json", "--out", "there")
    report = json.loads(result.stdout)
    assert result.exit_code == 0 and report["ok"] and not report["cancelled"]
    assert report["files"] == ["there/Twice_0001.png"] and report["file"] == str(workflow)
    assert {id_: node["status"] for id_, node in report["nodes"].items()} == dict.fromkeys(
        ("load", "big", "save"), "done"
    )
    assert report["nodes"]["big"]["type"] == "resize" and report["seconds"] >= report["nodes"]["big"]["seconds"] >= 0


def test_settings_are_changed_for_one_run(cli, workflow, tmp_path):
    before = workflow.read_bytes()
    result = cli("run", workflow, "--set", "big.width=8", "--set", "save.name=small/{big.width}")
    assert result.exit_code == 0 and workflow.read_bytes() == before
    with Pillow.open(tmp_path / "out/small/8.png") as picture:
        assert picture.size == (8, 20)


def test_a_picture_runs_as_the_workflow_that_made_it(cli, workflow, tmp_path):
    cli("run", workflow, "--set", "big.width=8")
    found = read_provenance(tmp_path / "out/Twice_0001.png")
    assert found is not None and found.settings["big.width"] == 8 and "torch" in found.lock
    for command in ("check", "run"):
        assert cli(command, "out/Twice_0001.png", "--input", "input").exit_code == 0
    first, second = (Pillow.open(tmp_path / f"out/Twice_000{i}.png").convert("RGB") for i in (1, 2))
    assert first.size == (8, 20) and first.tobytes() == second.tobytes()


def test_only_what_a_goal_needs_is_run(cli, workflow):
    result = cli("run", workflow, "--goal", "big", "--json")
    report = json.loads(result.stdout)
    assert list(report["nodes"]) == ["load", "big"] and report["files"] == []
    result = cli("run", workflow, "--goal", "bg")
    assert result.exit_code == 2 and 'Did you mean "big"' in result.stderr


def test_a_failed_node_ends_with_1_and_stops_only_what_needs_it(cli, workflow, document, tmp_path):
    (tmp_path / "input/broken.png").write_bytes((tmp_path / "input/red.png").read_bytes()[:50])
    document["nodes"]["broken"] = {"type": "load_image", "settings": {"path": "broken.png"}}
    document["nodes"]["other"] = {"type": "save_image", "settings": {"name": "other"}}
    document["wires"].append(["broken.image", "other.image"])
    workflow.write_text(json.dumps(document))
    result = cli("run", workflow)
    assert result.exit_code == 1 and "broken failed: broken.png is damaged" in result.stderr
    assert "1 failed, 1 skipped" in result.stdout and "saved out/Twice_0001.png" in result.stdout
    assert "--traceback" not in result.output
    report = json.loads(cli("run", workflow, "--json").stdout)
    assert not report["ok"] and "damaged" in report["nodes"]["broken"]["error"]


def test_an_unexpected_error_is_a_sentence_until_more_is_asked_for(cli, workflow, monkeypatch):
    def broken(*_):
        raise RuntimeError("the sky fell")

    monkeypatch.setattr(resize, "_size", broken)
    result = cli("run", workflow)
    assert result.exit_code == 1 and "the sky fell" in result.stderr and "--traceback" in result.stderr
    from typer.testing import CliRunner

    from latentloom.app.main import application

    result = CliRunner().invoke(application, ["run", str(workflow), "--traceback"])
    assert result.exit_code == 1 and "in broken" in result.stderr


def test_an_interrupted_run_ends_with_130_and_reports(cli, workflow, monkeypatch, tmp_path):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(resize, "_size", interrupted)
    result = cli("run", workflow, "--json")
    report = json.loads(result.stdout)
    assert result.exit_code == 130 and report["cancelled"] and not report["ok"]
    assert {id_: node["status"] for id_, node in report["nodes"].items()} == {
        "load": "done",
        "big": "cancelled",
        "save": "cancelled",
    }
    assert not (tmp_path / "out").exists()


def test_a_cache_on_disk_is_used_by_the_next_run(cli, workflow):
    def statuses(*settings):
        report = json.loads(cli("run", workflow, "--json", "--cache", "kept", *settings).stdout)
        return [report["nodes"][id_]["status"] for id_ in ("load", "big", "save")]

    assert statuses() == ["done", "done", "done"]
    assert statuses() == ["reused", "reused", "done"]
    assert statuses("--set", "save.format=jpeg") == ["reused", "reused", "done"]
    assert statuses("--set", "big.width=9") == ["reused", "done", "done"]


def test_a_cache_that_cannot_be_used_gives_a_sentence(cli, workflow, tmp_path):
    (tmp_path / "file").write_text("")
    result = cli("run", workflow, "--cache", "file")
    assert result.exit_code == 2 and "--cache file cannot be used" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--device", "cudda"], "'cudda'"),
        (["--device", "cuda:77"], "cuda:77"),
        (["--dtype", "float8"], "Did you mean"),
        (["--memory", "lots"], "is not a size"),
        (["--attention", "flsh"], "Did you mean"),
        (["--offload", "disk"], "'disk'"),
        (["--set", "big.width=-1", "--device", "cuda:77"], "width = -1"),
    ],
)
def test_a_wrong_wish_for_the_machine_gives_a_sentence(cli, workflow, arguments, sentence):
    result = cli("run", workflow, *arguments)
    assert result.exit_code == 2 and sentence in result.stderr
    assert not json.loads(cli("run", workflow, *arguments, "--json").stdout)["ok"]


def test_an_output_folder_that_is_a_file_gives_a_sentence(cli, workflow, tmp_path):
    (tmp_path / "out").write_text("")
    result = cli("run", workflow)
    assert result.exit_code == 2 and "--out out is a file" in result.stderr


def test_what_libraries_print_is_no_part_of_the_report(cli, workflow, monkeypatch):
    plain = resize._size

    def chatty(*sizes):
        print("chatter")
        return plain(*sizes)

    monkeypatch.setattr(resize, "_size", chatty)
    result = cli("run", workflow, "--json")
    assert json.loads(result.stdout)["ok"] and "chatter" in result.stderr


def test_the_report_is_json_whatever_was_noted():
    import math

    from latentloom.app.show import _finite

    assert _finite({"loss": [math.nan, 1.0, (math.inf,)], "text": "x"}) == {"loss": [None, 1.0, [None]], "text": "x"}


def test_what_a_killed_run_left_is_swept_away(cli, workflow, tmp_path):
    (tmp_path / "out").mkdir()
    for name, age in (("old", 7200), ("young", 0)):
        part = tmp_path / f"out/.{name}.part"
        part.write_text("half")
        then = time.time() - age
        os.utime(part, (then, then))
    assert cli("run", workflow).exit_code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {".young.part", "Twice_0001.png"}


def test_muted_nodes_are_shown_and_do_not_run(cli, workflow, document, tmp_path):
    document["nodes"]["big"]["mode"] = "bypass"
    document["nodes"]["other"] = {"type": "save_image", "mode": "mute"}
    document["wires"].append(["big.image", "other.image"])
    workflow.write_text(json.dumps(document))
    result = cli("run", workflow)
    assert result.exit_code == 0 and "1 muted" in result.stdout
    with Pillow.open(tmp_path / "out/Twice_0001.png") as picture:
        assert picture.size == (20, 10)  # as it was loaded
    report = json.loads(cli("run", workflow, "--json").stdout)
    assert {id_: node["status"] for id_, node in report["nodes"].items()} == {
        "other": "muted",
        "load": "done",
        "save": "done",
    }
