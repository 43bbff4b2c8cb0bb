import csv

from latentloom.graph.files import Files
from latentloom.nodes.evaluate.save_table import save_table
from latentloom.nodes.types import Table


def test_rows_are_read_back(tmp_path):
    table = Table(("name", "right"), (('with "quotes", and a comma', 0.5), ("two\nlines", None)))
    save_table(table, "figures/grade", files=Files(writing=tmp_path))
    with (tmp_path / "figures" / "grade.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [["name", "right"], ['with "quotes", and a comma', "0.5"], ["two\nlines", ""]]
