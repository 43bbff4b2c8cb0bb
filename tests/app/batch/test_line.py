"""`latentloom batch` as it is typed."""

from __future__ import annotations

import json


def test_a_dry_run_shows_the_rows_and_makes_nothing(cli, workflow, tmp_path):
    (tmp_path / "sizes.csv").write_text("wide\n10\n20\n")
    arguments = ("--rows", "sizes.csv", "--set", "big.width=@wide", "--set", "save.quality=50")
    told = cli("batch", workflow, *arguments, "--product", "big.height=8..9", "--dry-run")
    assert told.exit_code == 0, told.output
    assert "4 rows, of which 0 are bad; nothing was run." in told.output
    assert "row 1: big.width=10, big.height=9" in told.output
    assert not (tmp_path / "batch").exists()


def test_what_is_wrong_is_told_at_once_and_named(cli, workflow):
    told = cli("batch", workflow, "--zip", "big.width=10,wide", "--zip", "big.height=-1..0", "--json")
    assert told.exit_code == 2
    sentences = [problem["sentence"] for problem in json.loads(told.stdout)["problems"]]
    assert "Row 0" in sentences[0]
    assert "height = -1" in sentences[0]
    assert "Row 1" in sentences[1]
    assert 'width = "wide"' in sentences[1]


def test_a_single_row_is_a_batch_too(cli, workflow, tmp_path):
    told = cli("batch", workflow, "--input", "input", "--device", "cpu", "--out", "made", "--zip", "big.width=24")
    assert told.exit_code == 0, told.output
    assert "1 of 1 row done, 0 failed" in told.output
    assert [path.name for path in (tmp_path / "made/files/0000").iterdir()] == ["0000000_Twice_0001.png"]
    (line,) = (tmp_path / "made/results.jsonl").read_text().splitlines()
    assert json.loads(line)["settings"] == {"big.width": 24}
