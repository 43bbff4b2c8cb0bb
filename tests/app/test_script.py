"""A workflow as a script: it makes the same files, and is read back as the same workflow."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from arithmetic import CATALOG, workflow

from latentloom.app import script
from latentloom.app.folders import SHIPPED
from latentloom.graph.catalog import Catalog
from latentloom.graph.difference import difference
from latentloom.graph.document import WorkflowError
from latentloom.graph.files import Files
from latentloom.graph.workflow import Workflow
from latentloom.nodes.catalog import NODES
from latentloom.nodes.upgrades import UPGRADES

WORLD = Catalog(NODES, "latentloom.nodes")
FILES = Files({"input": [SHIPPED / "input"], "models": [SHIPPED / "models"]}, Path("out"))


def there_and_back(flow: Workflow, catalog: Catalog, folder: Path) -> Workflow:
    path = folder / "script.py"
    path.write_text(script.write(flow, catalog, FILES))
    return script.read(path, catalog)


@pytest.mark.parametrize("name", ["text_to_image", "inpaint", "image_to_image", "seed_grid", "gallery"])
def test_shipped_workflows_read_back_as_they_were(tmp_path, name):
    flow = Workflow.read(SHIPPED / f"{name}.json", UPGRADES)
    back = there_and_back(flow, WORLD, tmp_path)
    assert difference(flow, back).is_empty
    assert list(back.nodes) == list(flow.nodes)
    rest = [
        {key: part for key, part in each.document.items() if key not in ("nodes", "wires")} for each in (flow, back)
    ]
    assert rest[0] == rest[1]
    assert {id_: node.at for id_, node in back.nodes.items()} == {id_: node.at for id_, node in flow.nodes.items()}


def test_names_that_are_no_variables_and_many_wires(tmp_path):
    nodes = {"add": ("add", {"plus": 2}), "class": "number", "1 + 1": ("number", {"value": 7}), "FILES": "halve"}
    flow = workflow(
        nodes | {"d": "double", "s": "show"},
        "class.number -> add.numbers",
        "1 + 1.number -> add.numbers",
        "add.number -> d.number",
        "d.even -> FILES.even",
        "FILES.high -> s.text",
    )
    back = there_and_back(flow, CATALOG, tmp_path)
    assert difference(flow, back).is_empty
    assert list(back.nodes) == list(flow.nodes)
    assert [wire for wire in back.wires if wire.target == "add"] == [
        wire for wire in flow.wires if wire.target == "add"
    ]


def test_a_script_that_runs_makes_the_same_file_and_picture(cli, workflow, tmp_path):
    assert cli("export", workflow, "twice.py", "--out", "made").exit_code == 0
    subprocess.run([sys.executable, "twice.py"], cwd=tmp_path, check=True)
    assert cli("run", "twice.py", "--out", "again").exit_code == 0
    pictures = [next((tmp_path / folder).glob("*.png")) for folder in ("made", "again")]
    assert [path.name for path in pictures] == ["Twice_0001.png", "Twice_0001.png"]
    from latentloom.app.verify import _compared

    assert _compared(pictures[0], pictures[1:])["same"]


def test_what_cannot_be_exported_is_refused(cli, workflow, document):
    assert "no .py file" in cli("export", workflow, "twice.txt").output
    document["nodes"]["big"]["mode"] = "bypass"
    workflow.write_text(json.dumps(document))
    told = cli("export", workflow, "twice.py")
    assert told.exit_code == 2
    assert '"big" is muted or bypassed' in told.output
    document["nodes"]["big"] = {"type": "resize", "settings": {"width": -1}}
    workflow.write_text(json.dumps(document))
    assert "width = -1" in cli("export", workflow, "twice.py").output


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("for i in range(3): pass", "calls of nodes alone"),
        ("b = number(3)", "each argument by its name"),
        ("b = number(**{})", "each argument by its name"),
        ("a = number(value=2)", "a is assigned twice"),
        ("b = double(number=c)", "number is neither a value nor"),
        ("b = open(file='x')", "calls of nodes alone"),
        ("b = number(value=", "cannot be read as a script"),
    ],
)
def test_what_is_no_workflow_is_told_with_its_line(tmp_path, line, sentence):
    path = tmp_path / "script.py"
    path.write_text(f"from arithmetic import number, double\na = number(value=1)\n{line}\n")
    with pytest.raises(WorkflowError, match=sentence) as refused:
        script.read(path, CATALOG)
    assert "Line 3" in str(refused.value) or "line 3" in str(refused.value)


def test_nothing_of_a_script_is_run(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(f"import os\nFILES = os.mkdir({str(tmp_path / 'made')!r})\n")
    with pytest.raises(WorkflowError):
        script.read(path, CATALOG)
    assert not (tmp_path / "made").exists()
