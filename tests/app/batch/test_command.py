"""Whole batches with workers of their own: nothing is lost, nothing is made twice, whatever happens to them."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import batches as world
import pytest

from latentloom.graph.problems import Refused


def told(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out)


def test_a_batch_is_made_limited_resumed_and_complete(tmp_path, capsys):
    asked = world.request(tmp_path, 30, limit=12)
    assert world.run(asked) == 0
    assert (told(capsys)["done"], len(world.lines(asked))) == (12, 12)
    with pytest.raises(Refused, match="--resume"):
        world.run(asked)
    assert world.run(replace(asked, limit=None, resume=True, workers=2)) == 0
    assert told(capsys)["missing"] == 0
    assert world.faults(asked, 30) == []
    assert "Contact sheet" in (asked.out / "sheet.html").read_text()
    before = {path: path.stat().st_mtime_ns for path in (asked.out / "files").rglob("*.txt")}
    assert world.run(replace(asked, limit=None, resume=True)) == 0  # there is nothing left to do
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_rows_that_kill_fail_and_fault_are_given_up_and_the_others_are_made(tmp_path):
    asked = world.request(tmp_path, 24, world={"poison": {"kills": [7], "fails": [3], "faults": [5]}}, at_once=4)
    assert world.run(asked) == 1
    table = {line["row"]: line for line in world.lines(asked)}
    failed = {row: (line["tries"], line["error"]) for row, line in table.items() if line["status"] == "failed"}
    assert sorted(table) == list(range(24))
    assert failed[3] == (1, "poison: 3 is no good.")
    assert failed[5] == (3, "poison: RuntimeError: a fault at 5")
    assert failed[7][0] == 3
    assert "SIGKILL" in failed[7][1]
    assert set(failed) == {3, 5, 7}
    assert not list((asked.out / "files").rglob("0000007_*"))


def test_a_full_disk_stops_the_batch_and_fails_no_row(tmp_path, capsys):
    asked = world.request(tmp_path, 6, world={"keep": {"full": True}})
    assert world.run(asked) == 1
    report = told(capsys)
    assert os.strerror(28) in report["stopped"]
    assert (report["failed"], report["missing"]) == (0, 6)


def test_every_bad_row_is_named_before_the_first_runs(tmp_path, capsys):
    asked = world.request(tmp_path, 5)
    (tmp_path / "rows.csv").write_text("value\n1\n-1\n2\nthree\n1000\n")
    with pytest.raises(Refused) as refused:
        world.run(asked)
    sentences = [str(problem) for problem in refused.value.problems]
    assert [sentence[:6] for sentence in sentences[:3]] == ["Row 1:", "Row 3:", "Row 4:"]
    assert "--skip-bad" in sentences[3]
    assert not asked.out.exists()
    assert world.run(replace(asked, dry_run=True, skip_bad=True)) == 0
    assert told(capsys)["bad"] == [1, 3, 4]
    assert not asked.out.exists()
    assert world.run(replace(asked, skip_bad=True)) == 1
    table = {line["row"]: line for line in world.lines(asked)}
    assert sorted(table) == list(range(5))
    assert [row for row, line in table.items() if line["status"] == "done"] == [0, 2]
    assert "from 0 to 100" in table[4]["error"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"settings": ["number.value=@value", "nowhere.x=1"]}, 'no node "nowhere"'),
        ({"settings": ["number.valu=@value"]}, 'has no setting "valu". Did you mean "value"?'),
        ({"settings": ["number.value=@value"], "goals": ["nowhere"]}, "no node"),
        ({"shard": "3/2"}, "--shard"),
    ],
)
def test_what_is_wrong_for_all_rows_is_told_once(tmp_path, given, sentence):
    with pytest.raises(Refused) as refused:
        world.run(replace(world.request(tmp_path, 50), **given))
    assert len(refused.value.problems) == 1
    assert sentence in str(refused.value)


def start(folder: Path, rows: int, seconds: float, workers: int = 1) -> subprocess.Popen[bytes]:
    script = Path(world.__file__)
    arguments = [sys.executable, script, folder, str(rows), str(seconds), str(workers)]
    return subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def until_some_ended(folder: Path, more_than: int = 0) -> None:
    path = folder / "out/results.jsonl"
    for _ in range(600):
        if path.exists() and len(path.read_text().splitlines()) > more_than:
            return
        time.sleep(0.05)
    raise AssertionError("no row ended")


def test_killed_at_any_moment_a_batch_is_resumed_with_what_it_lacks(tmp_path):
    """The short form of `tests/benchmarks/faults.py`."""
    rows, seconds, chance = 24, 0.1, random.Random(0)
    asked = world.request(tmp_path, rows)
    for kill in range(2):
        batch = start(tmp_path, rows, seconds)
        until_some_ended(tmp_path, len(world.lines(asked)) if kill else 0)
        time.sleep(chance.uniform(0, 0.3))
        batch.kill()
        batch.wait()
    assert start(tmp_path, rows, seconds).wait(timeout=100) == 0
    assert world.faults(asked, rows) == []


def test_an_interrupt_ends_it_soon_and_keeps_what_ended(tmp_path):
    asked = world.request(tmp_path, 60)
    batch = start(tmp_path, 60, 0.2)
    until_some_ended(tmp_path)
    batch.send_signal(signal.SIGINT)
    assert batch.wait(timeout=30) == 130
    ended = world.lines(asked)
    assert 0 < len(ended) < 60
    assert world.faults(asked, 60)[0].startswith("rows")
    assert len({line["row"] for line in ended}) == len(ended)
    assert (asked.out / "sheet.html").exists()
