"""Tables, ranges and how rows come of them."""

from __future__ import annotations

import pytest

from latentloom.app.batch import ranges, table
from latentloom.app.batch.plan import Plan, digest, plan
from latentloom.graph.problems import Refused


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0..3", [0, 1, 2, 3]),
        ("3..1..-1", [3, 2, 1]),
        ("0..1..0.25", [0.0, 0.25, 0.5, 0.75, 1.0]),
        ("0..0.3..0.1", [0.0, 0.1, 0.2, 0.3]),
        ("-2..0", [-2, -1, 0]),
        ("3,5, 7", ["3", "5", "7"]),
        ("euler", ["euler"]),
        ('["a, b", 2]', ["a, b", 2]),
    ],
)
def test_ranges(text, expected):
    assert list(ranges.values(text)) == expected


@pytest.mark.parametrize("text", ["", "3..1", "0..1..0", "[]", "[1", "0..1000000000000"])
def test_ranges_that_are_none(text):
    with pytest.raises(ValueError, match=r"\w"):
        ranges.values(text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.csv", 'text,seed\n"a, b",1\n\nc,2\n'),
        ("rows.tsv", "text\tseed\na, b\t1\nc\t2\n"),
        ("rows.jsonl", '{"text": "a, b", "seed": "1"}\n\n{"seed": "2", "text": "c"}\n'),
    ],
)
def test_tables_are_read(tmp_path, name, text):
    (tmp_path / name).write_text("\ufeff" + text if name.endswith("csv") else text, encoding="utf-8")
    found = table.read(tmp_path / name)
    assert found == table.Rows({"text": ["a, b", "c"], "seed": ["1", "2"]}, 2)


def test_parquet_is_read(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet  # pyright: ignore[reportMissingImports]

    parquet.write_table(pa.table({"text": ["a", "b"], "seed": [1, 2]}), tmp_path / "rows.parquet")
    assert table.read(tmp_path / "rows.parquet") == table.Rows({"text": ["a", "b"], "seed": [1, 2]}, 2)


def test_a_json_line_may_lack_a_column(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n{"b": 2}\n')
    assert table.read(tmp_path / "rows.jsonl").columns == {"a": [1, None], "b": [None, 2]}


@pytest.mark.parametrize(
    ("name", "text", "sentences"),
    [
        ("rows.csv", "a,b\n1\n1,2,3\n", ["line 2: it has 1 values", "line 3: it has 3 values"]),
        ("rows.csv", "a,a\n1,2\n", ["named twice: a"]),
        ("rows.jsonl", '{"a": 1}\n[1]\n{"a": NaN}\n{\n', ["line 2", "line 3: it is no JSON: NaN", "line 4"]),
        ("rows.jsonl", '{"a": "\\ud800"}\n', ["line 1: it is no JSON"]),
        ("rows.txt", "", ["no .csv"]),
        ("rows.csv", None, ["No such file"]),
    ],
)
def test_what_is_wrong_with_a_table_is_told_at_once(tmp_path, name, text, sentences):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(Refused) as refused:
        table.read(tmp_path / name)
    assert len(refused.value.problems) == len(sentences)
    assert all(part in str(problem) for part, problem in zip(sentences, refused.value.problems, strict=True))


def planned(*assignments, zips=(), products=(), rows=None) -> Plan:
    return plan(rows, assignments, zips, products, lambda key, value: value)[0]


def test_products_go_over_every_row_and_the_last_changes_first():
    rows = table.Rows({"text": ["a", "b"]}, 2)
    made = planned("p.text=@text", rows=rows, zips=["n.seed=5..6"], products=["g.scale=1..2", "s.steps=8,9"])
    assert made.count == 8
    found = [tuple(made.settings(number).values()) for number in range(8)]
    assert found[:5] == [("a", 5, 1, "8"), ("a", 5, 1, "9"), ("a", 5, 2, "8"), ("a", 5, 2, "9"), ("b", 6, 1, "8")]
    assert list(made.settings(0)) == ["p.text", "n.seed", "g.scale", "s.steps"]


def test_settings_for_all_rows_are_told_apart():
    made, same = plan(None, ["a.b=1", "c.d= 2"], ["n.seed=0..3"], (), lambda key, value: value)
    assert (made.count, same) == (4, ["a.b=1", "c.d= 2"])


def test_values_are_typed_as_the_setting_takes_them():
    made, _ = plan(None, (), ["n.seed=1,2"], (), lambda key, value: int(value))
    assert made.settings(1) == {"n.seed": 2}


def test_everything_wrong_with_a_plan_is_told_at_once():
    rows = table.Rows({"text": ["a", "b", "c"]}, 3)
    with pytest.raises(Refused) as refused:
        planned("p.text=@txt", rows=rows, zips=["n.seed=0..1", "n.seed=0..2", "nonsense"], products=["g.scale=2..1"])
    told = str(refused.value)
    for part in (
        'no column "txt". Did you mean "text"?',
        "has values already",
        "write it node.setting",
        "never arrives",
    ):
        assert part in told
    assert "must be equally long: --rows has 3 and n.seed has 2" in told


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"rows": None, "assignments": ["p.text=@text"]}, "there are no --rows"),
        ({"rows": table.Rows({"text": ["a"]}, 1), "assignments": ["p.text=a"]}, "No --set takes a column"),
        ({"rows": table.Rows({"text": []}, 0), "assignments": ["p.text=@text"]}, "holds no row"),
    ],
)
def test_plans_without_rows(given, sentence):
    with pytest.raises(Refused, match=sentence):
        planned(*given["assignments"], rows=given["rows"])


def test_a_digest_tells_settings_apart():
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": 2.0})
