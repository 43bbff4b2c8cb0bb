"""What a batch keeps: nothing is said to be done that is not on the disk, and nothing that ended is forgotten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from latentloom.app.batch import places, sheet
from latentloom.app.batch.entry import Entry
from latentloom.app.batch.ledger import DONE, FAILED, Ledger, Shard
from latentloom.app.batch.plan import Plan
from latentloom.graph.files import FileRefused, Files
from latentloom.graph.problems import Refused
from latentloom.graph.workflow import Workflow

FLOW = Workflow.of({"format": 1, "nodes": {"a": {"type": "number", "settings": {"value": 1}}}, "wires": []})


def planned(count: int = 10) -> Plan:
    return Plan({"a.value": range(count)}, {})


def ledger(out: Path, count: int = 10, shard: Shard = Shard(), flow: Workflow = FLOW) -> Ledger:  # noqa: B008
    return Ledger(out, planned(count), shard, flow)


def ended(row: int, status: Any = "done", files: tuple[str, ...] = (), **given: Any) -> Entry:
    return Entry(row, status, {"a.value": row}, files=files, **given)


def write(out: Path, row: int, name: str = "x.txt") -> str:
    path = out / places.folder_of(row) / f"{places.prefix(row)}{name}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("whole")
    return path.relative_to(out).as_posix()


def rows(path: Path) -> list[int]:
    return [json.loads(line)["row"] for line in path.read_text().splitlines()]


def test_a_batch_goes_on_with_the_rows_it_lacks(tmp_path):
    first = ledger(tmp_path)
    first.open(False, False)
    first.record([ended(3, files=(write(tmp_path, 3),)), ended(1, "failed", error="no good")])
    write(tmp_path, 4)  # of a row that did not come to its end
    (tmp_path / "files/0000/.0000005_x.abc.part").write_text("ha")
    first.close()
    again = ledger(tmp_path, count=12)
    again.open(True, False)
    assert list(again.missing({7})) == [0, 2, 4, 5, 6, 8, 9, 10, 11]
    assert [path.name for path in (tmp_path / "files/0000").iterdir()] == ["0000003_x.txt"]
    assert rows(again.results_path) == [1, 3]
    again.record([ended(0)])
    assert rows(again.results_path) == [1, 3, 0]
    assert (again.count(DONE), again.count(FAILED)) == (2, 1)
    again.close()
    retried = ledger(tmp_path)
    retried.open(True, True)
    assert 1 in retried.missing(set())
    assert rows(retried.results_path) == [0, 1, 3]
    retried.record([ended(1)])
    retried.close()
    assert sorted(rows(retried.results_path)) == [0, 1, 1, 3]
    last = ledger(tmp_path)
    last.open(True, False)
    last.close()
    assert rows(last.results_path) == [0, 1, 3]


def test_a_line_torn_by_a_power_cut_is_whole_again(tmp_path):
    first = ledger(tmp_path)
    first.open(False, False)
    first.record([ended(0), ended(1)])
    first.close()
    torn = first.results_path.read_text()
    first.results_path.write_text(torn[: len(torn) - 20])
    again = ledger(tmp_path)
    again.open(True, False)
    assert again.results_path.read_text() == torn
    again.close()


def refused(out: Path, sentence: str, resume: bool = True, **given: Any) -> None:
    other = ledger(out, **given)
    with pytest.raises(Refused, match=sentence):
        other.open(resume, False)


def test_what_cannot_be_resumed_is_refused(tmp_path):
    first = ledger(tmp_path)
    first.open(False, False)
    first.record([ended(5)])
    other = ledger(tmp_path)
    with pytest.raises(Refused, match="Another command is at work"):
        other.open(True, False)
    first.close()
    refused(tmp_path, "go on with it by --resume", resume=False)
    refused(tmp_path, "others by now: 5", count=3)
    changed = Workflow.of({"format": 1, "nodes": {"a": {"type": "double"}}, "wires": []})
    refused(tmp_path, "another workflow", flow=changed)
    rowed = FLOW.with_settings({"a.value": 9})  # what rows set is no difference
    same = ledger(tmp_path, flow=rowed)
    same.open(True, False)
    same.close()


def _damage(journal: Path) -> None:
    journal.write_bytes(b"nonsense" * 1000)


@pytest.mark.parametrize("lose", [_damage, Path.unlink])
def test_a_journal_that_is_lost_is_made_anew_from_the_results(tmp_path, lose):
    first = ledger(tmp_path)
    first.open(False, False)
    first.record([ended(5, files=(write(tmp_path, 5),)), ended(6, files=("files/0000/0000006_gone.txt",)), ended(7)])
    first.close()
    with first.results_path.open("a") as file:
        file.write('{"row": 8, "sta')
    lose(tmp_path / "journal.sqlite")
    refused(tmp_path, "go on with it by --resume", resume=False)
    again = ledger(tmp_path)
    again.open(True, False)
    assert rows(again.results_path) == [5, 7]
    assert (tmp_path / "files/0000/0000005_x.txt").exists()
    assert "made anew" in again.notices[0]
    again.close()


def test_shards_divide_the_rows(tmp_path):
    shards = [Shard.parse(f"{index}/3") for index in (1, 2, 3)]
    ledgers = [ledger(tmp_path, shard=shard) for shard in shards]
    for each in ledgers:  # all at work at once, in one folder
        each.open(False, False)
    assert sorted(row for each in ledgers for row in each.missing(set())) == list(range(10))
    kept = write(tmp_path, 1)
    ledgers[1].record([ended(1, files=(kept,))])
    other = write(tmp_path, 2)
    ledgers[1].close()
    again = ledger(tmp_path, shard=shards[1])
    again.open(True, False)
    assert (tmp_path / kept).exists()
    assert (tmp_path / other).exists()  # it is the third's
    assert again.results_path.name == "results-2-of-3.jsonl"
    for each in (ledgers[0], ledgers[2], again):
        each.close()


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0"])
def test_shards_that_are_none(text):
    with pytest.raises(Refused, match="--shard"):
        Shard.parse(text)


def test_deaths_are_counted_from_one_command_to_the_next(tmp_path):
    for times in (1, 2):
        each = ledger(tmp_path)
        each.open(times > 1, False)
        assert each.journal.died(4) == times
        each.close()


def test_a_file_is_named_after_its_row(tmp_path):
    files = places.of_row(Files({}, tmp_path))(12_345)
    assert files.target("deep/name.png") == tmp_path / "files/0012/0012345_deep_name.png"
    with pytest.raises(FileRefused):
        files.target("../name.png")


def test_the_sheet_holds_what_there_is_and_no_markup_of_strangers(tmp_path):
    evil = "</script><script>alert(1)</script><!--"
    line = json.dumps({**vars(ended(0, files=("files/0000/a b.png",))), "settings": {"p.text": evil}})
    sheet.write(tmp_path / "sheet.html", evil, [line], 1)
    page = (tmp_path / "sheet.html").read_text()
    assert page.count("</script>") == 2
    assert "alert(1)</script>" not in page
    assert "files/0000/a%20b.png" in page
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    assert data["rows"][0][6] == [evil]


def test_many_rows_stand_on_several_pages(tmp_path, monkeypatch):
    monkeypatch.setattr(sheet, "ROWS_A_PAGE", 2)
    lines = [json.dumps(vars(ended(row))) for row in range(5)]
    sheet.write(tmp_path / "sheet.html", "many", lines, 5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sheet-2.html", "sheet-3.html", "sheet.html"]
    assert '["3","sheet-3.html"]' in (tmp_path / "sheet.html").read_text()


def test_the_table_is_written_as_parquet_too_where_that_can_be(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    first = ledger(tmp_path)
    first.open(False, False)
    first.record([ended(1, files=(write(tmp_path, 1),), scores={"s": 0.5}), ended(0, "failed", error="no")])
    first.close()
    found = parquet.read_table(tmp_path / "results.parquet").to_pylist()
    assert [row["row"] for row in found] == [0, 1]
    assert found[1]["files"] == ["files/0000/0000001_x.txt"]
    assert json.loads(found[1]["scores"]) == {"s": 0.5}
    assert found[0]["error"] == "no"
