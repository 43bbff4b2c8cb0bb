"""The methods that ship, as values: what the workflows in `workflows/methods` hand to their measurement."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentloom.app.folders import SHIPPED, files
from latentloom.graph.catalog import Catalog
from latentloom.graph.run import run
from latentloom.graph.workflow import Workflow
from latentloom.nodes.catalog import NODES
from latentloom.nodes.types import Conditioning, Method, Noise, Prompts
from latentloom.nodes.upgrades import UPGRADES

FOLDER = SHIPPED / "methods"
MEASURE = "measure"
"""What the node is called that measures, in each of them."""


@dataclass(frozen=True, eq=False)
class Offered:
    """What one workflow measures: its `methods`, the plain one first, on these noises and prompts."""

    name: str
    title: str
    methods: tuple[Method, ...]
    noise: Noise
    positive: Conditioning
    negative: Conditioning | None
    prompts: Prompts

    @property
    def model(self) -> str:
        """The folder of the model."""
        return Path(self.methods[0].model.source).name

    @property
    def count(self) -> int:
        """How many pictures."""
        return len(self.noise.samples)


def names() -> list[str]:
    """Of the workflows of one method each."""
    every = sorted(file.stem for file in FOLDER.glob("*.json") if MEASURE in Workflow.read(file, UPGRADES).nodes)
    return [name for name in every if not name.startswith("compare_") and name != "everything_together"]


def model_of(name: str) -> str:
    """The model that the workflow `name` loads."""
    return Workflow.read(FOLDER / f"{name}.json", UPGRADES).nodes["model"].settings["source"]


def read(name: str, settings: Mapping[str, Any], models: Sequence[Path] = ()) -> Offered:
    """What the workflow `name` measures, with `settings` in place of its own. Raises `RuntimeError` with a sentence."""
    source = FOLDER / f"{name}.json"
    workflow = Workflow.read(source, UPGRADES).with_settings(settings)
    wires = [wire for wire in workflow.wires if wire.target == MEASURE]
    with tempfile.TemporaryDirectory() as out:
        result = run(
            workflow,
            Catalog(NODES, "latentloom.nodes"),
            goals=dict.fromkeys(wire.source for wire in wires),
            files=files(source, (), models, Path(out)),
        )
    if failed := [outcome.error for outcome in result.outcomes.values() if outcome.error]:
        raise RuntimeError(" ".join(failed))
    given = [(wire.input, result.values[wire.source][wire.output]) for wire in wires]
    values = dict(given)
    methods = tuple(method for port, several in given if port == "methods" for method in several.each)
    title = workflow.name or name
    return Offered(name, title, methods, values["noise"], values["positive"], values.get("negative"), values["prompts"])
