"""Each method ships with a workflow that measures it, and each of these runs."""

from __future__ import annotations

import csv
import json

import pytest
import shipped_methods

from latentloom.graph.workflow import Workflow
from latentloom.nodes.catalog import NODES
from latentloom.nodes.evaluate.measuring import Bench, shares

NAMES = shipped_methods.names()
ONE = {"prompts.count": 1, "canvas.batch": 1}


def test_every_cache_and_guidance_is_in_a_workflow():
    used = {node.type for file in shipped_methods.FOLDER.glob("*.json") for node in Workflow.read(file).nodes.values()}
    offered = {name for name, module in NODES.items() if module.split(".")[0] in ("cache", "guidance")}
    assert offered - used == set()


@pytest.mark.parametrize("name", NAMES)
def test_it_measures_three_settings_beside_the_plain_run(name):
    offered = shipped_methods.read(name, ONE)
    plain, *settings = offered.methods
    assert plain.name == "plain" and not plain.model.patches
    assert len(settings) == 3 and len({plain.name, *(each.name for each in settings)}) == 4
    assert all(
        (each.model, each.schedule, each.guidance) != (plain.model, plain.schedule, plain.guidance) for each in settings
    )
    [share] = shares(offered.noise, offered.positive, offered.negative, 0)
    [drawn] = Bench([share], rounds=1, warm_up=1).draw([settings[-1]])
    assert drawn.image.pixels.isfinite().all() and drawn.report.steps == settings[-1].schedule.steps


def test_it_makes_a_table_a_figure_and_a_sheet(cli, tmp_path):
    few = {**ONE, "schedule.steps": 4, "measure.rounds": 1, "sampler.name": "ddim"}
    given = [part for name, value in few.items() for part in ("--set", f"{name}={value}")]
    result = cli("run", "methods/deepcache", *given, "--json")
    assert result.exit_code == 0, result.output
    files = json.loads(result.stdout)["files"]
    assert sorted(file.rsplit(".", 1)[1] for file in files) == ["csv", "png", "png"]
    with (tmp_path / next(file for file in files if file.endswith(".csv"))).open(encoding="utf-8") as table:
        rows = {row["method"]: row for row in csv.DictReader(table)}
    assert {"plain", "DeepCache, interval 2", "DeepCache, interval 3", "DeepCache, interval 5"} <= rows.keys()
    assert 1 < float(rows["DeepCache, interval 2"]["limit"]) < float(rows["DeepCache, interval 5"]["limit"])
