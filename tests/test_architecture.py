"""The arrows between the rooms, read from the imports themselves; any other arrow fails.

kernels <- nodes -> graph <- app, and from app to a few rooms of nodes. Methods know nothing of each other.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from latentloom.nodes.catalog import NODES

ROOT = Path(__file__).parents[1]
ROOMS = ("app", "graph", "kernels", "nodes")

OF_GRAPH_FOR_NODES = {f"graph.{name}" for name in ("atomic", "files", "node", "problems", "progress", "provenance")}
"""How a node is declared, and what it is handed; not how workflows are read or run."""

OF_NODES_FOR_APP = ("nodes.catalog", "nodes.codec", "nodes.models", "nodes.types", "nodes.upgrades")

OPEN_TO_METHODS = ("nodes.types", "nodes.models", "nodes.shapes", "kernels")
"""Rooms any method may use."""

SHARED = {
    "nodes.attention.attending": "attention computed in another way, in training too",
    "nodes.attention.sparse_linear": "what sparse-linear attention is, which training teaches",
    "nodes.cache.step_cache": "what is kept of a run for each of its branches",
    "nodes.guidance.classifier_free": "what guides where no guidance is wired",
    "nodes.guidance.guide": "what a guidance is to the loop that asks it",
    "nodes.image.pixels": "pictures as tensors and back",
    "nodes.lora.applied": "a LoRA on a model, for what makes or needs one",
    "nodes.lora.skeleton": "the layers a LoRA may change, for what trains one",
    "nodes.lora.source": "a LoRA in a file, for what writes one",
    "nodes.lora.trainable": "factors that are learnt beside frozen layers",
    "nodes.noise.seeded": "noise of given seeds, for what tries several",
    "nodes.reward.prompts": "a prompt for each picture",
    "nodes.sample.gauge": "seconds and memory of whatever runs",
    "nodes.sample.generate": "whole runs, for what is fitted and searched over many of them",
    "nodes.schedule.samplers": "names of samplers and their schedulers",
    "nodes.schedule.solver": "a sampler and a schedule at work, as the loop drives them",
    "nodes.sample.run": "one run from noise to latent, which measurements repeat",
    "nodes.sample.task": "what such a run starts from",
    "nodes.prompt.weights": "the grammar of prompt weights, read by text encoders",
}
"""Files of one category that others may use, and why."""


HEAVY = ("accelerate", "diffusers", "peft", "transformers")
"""Take seconds to import, which reading and checking a workflow must not take."""


class Import(NamedTuple):
    """`importer` and `imported` are modules below `latentloom` for ours, and whole names for others."""

    importer: str
    imported: str
    ours: bool
    at_top: bool


@cache
def sources() -> dict[str, Path]:
    paths = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in paths}


@cache
def imports() -> tuple[Import, ...]:
    return tuple(found for module, path in sources().items() for found in _imports(module, path))


def _imports(module: str, path: Path) -> Iterator[Import]:
    tree = ast.parse(path.read_bytes())
    inside = {id(part) for top in ast.walk(tree) if _runs_later(top) for part in ast.walk(top)}
    for statement in ast.walk(tree):
        at_top = id(statement) not in inside
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                yield Import(module, alias.name, False, at_top)
        elif isinstance(statement, ast.ImportFrom) and not statement.level:
            yield Import(module, statement.module or "", False, at_top)
        elif isinstance(statement, ast.ImportFrom):
            base = [*module.split(".")[: -statement.level], *(statement.module or "").split(".")]
            package = ".".join(part for part in base if part)
            for alias in statement.names:
                deeper = f"{package}.{alias.name}".strip(".")
                yield Import(module, deeper if deeper in sources() else package, True, at_top)


def _runs_later(statement: ast.AST) -> bool:
    """What an import of the module does not run: functions, and what only type checkers read."""
    checking = isinstance(statement, ast.If) and ast.unparse(statement.test).endswith("TYPE_CHECKING")
    return checking or isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


def within(module: str, *rooms: str) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in rooms)


def category(module: str) -> str:
    """`sample` of `nodes.sample.denoise`; empty for a file that stands in `nodes` itself."""
    parts = module.split(".")
    return parts[1] if parts[0] == "nodes" and len(parts) > 2 else ""


def arrows(wrong: Iterator[Import]) -> list[str]:
    return sorted({f"{found.importer} -> {found.imported}" for found in wrong})


def node_files() -> set[str]:
    return {f"nodes.{module}" for module in NODES.values()}


def test_every_room_is_read():
    read = {module.split(".")[0] for module in sources()}
    assert {"app", "graph", "nodes"} <= read
    assert len([found for found in imports() if found.ours]) > 100
    assert Import("graph.run", "graph.check", True, True) in imports()


def test_our_own_modules_are_imported_relative_and_exist():
    assert (
        arrows(f for f in imports() if not f.ours and within(f.imported, "latentloom", "app", "graph", "nodes")) == []
    )
    assert arrows(f for f in imports() if f.ours and f.imported not in sources()) == []


def test_graph_and_kernels_import_nothing_of_ours_but_themselves():
    assert (
        arrows(f for f in imports() if f.ours and within(f.importer, "graph") and not within(f.imported, "graph")) == []
    )
    assert (
        arrows(f for f in imports() if f.ours and within(f.importer, "kernels") and not within(f.imported, "kernels"))
        == []
    )


def test_nodes_take_from_graph_only_what_declares_a_node():
    allowed = ("nodes", "kernels", *OF_GRAPH_FOR_NODES)
    assert (
        arrows(f for f in imports() if f.ours and within(f.importer, "nodes") and not within(f.imported, *allowed))
        == []
    )


def test_app_takes_from_nodes_only_what_describes_them():
    allowed = ("app", "graph", *OF_NODES_FOR_APP)
    assert (
        arrows(f for f in imports() if f.ours and within(f.importer, "app") and not within(f.imported, *allowed)) == []
    )


def test_methods_do_not_import_each_other():
    def wrong(found: Import) -> bool:
        importer, imported = found.importer, found.imported
        if not (found.ours and category(imported)) or importer == "nodes.types":
            return False
        if imported in node_files() and importer != imported:
            return True  # what is a node is nobody's helper
        if within(importer, *OPEN_TO_METHODS) and within(imported, *OPEN_TO_METHODS):
            return False
        return category(importer) != category(imported) and not within(imported, *OPEN_TO_METHODS, *SHARED)

    assert arrows(f for f in imports() if f.importer.startswith("nodes.") and wrong(f)) == []


def test_exceptions_are_needed():
    """An arrow that is no longer used is no longer allowed."""
    used = {(found.importer, found.imported) for found in imports() if found.ours}
    crossing = {imported for importer, imported in used if category(importer) != category(imported)}
    assert [module for module in SHARED if module not in crossing] == []


def test_types_know_no_method_at_run_time():
    found = (f for f in imports() if f.importer == "nodes.types" and f.at_top)
    assert arrows(f for f in found if f.ours or within(f.imported, "torch")) == []


@pytest.mark.parametrize(
    ("package", "room"),
    [("gradio", "app"), ("typer", "app"), ("rich", "app"), ("triton", "kernels")],
)
def test_packages_that_stay_in_one_room(package, room):
    assert arrows(f for f in imports() if within(f.imported, package) and not within(f.importer, room)) == []


def test_ray_is_known_to_one_file():
    assert len({f.importer for f in imports() if within(f.imported, "ray")}) <= 1


@pytest.mark.parametrize("package", ["torch", "numpy", "safetensors", "huggingface_hub", *HEAVY])
def test_graph_knows_no_tensors_and_no_models(package):
    assert arrows(f for f in imports() if within(f.importer, "graph") and within(f.imported, package)) == []


def test_node_files_import_heavy_packages_only_when_called():
    found = (f for f in imports() if f.importer in node_files() and f.at_top)
    assert arrows(f for f in found if within(f.imported, *HEAVY)) == []


def test_importing_all_nodes_loads_nothing_heavy():
    """Neither do the files they import."""
    script = (
        "import importlib, sys\n"
        "from latentloom.nodes.catalog import NODES\n"
        "for module in set(NODES.values()): importlib.import_module(f'latentloom.nodes.{module}')\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    assert _output_of(script) == "[]"


@pytest.mark.parametrize(
    "module", ["graph.run", "graph.store", "nodes.catalog", "nodes.types", "nodes.upgrades", "nodes.codec"]
)
def test_importing_these_does_not_load_torch(module):
    assert _output_of(f"import sys, latentloom.{module}; print('torch' in sys.modules)") == "False"


def _output_of(script: str) -> str:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()


# ---------------------------------------------------------------- the list of nodes


def declared() -> dict[str, set[str]]:
    """Module below nodes -> names of the functions it declares as nodes."""
    found = defaultdict(set)
    for module, path in sources().items():
        if within(module, "nodes"):
            for statement in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(statement, ast.FunctionDef):
                    decorators = [ast.unparse(decorator).split("(")[0] for decorator in statement.decorator_list]
                    if {"node", "effect"} & set(decorators):
                        found[module.removeprefix("nodes.")].add(statement.name)
    return dict(found)


def test_the_list_holds_every_node_on_disk_and_no_other():
    on_disk = {(name, module) for module, names in declared().items() for name in names}
    assert sorted(on_disk - set(NODES.items())) == []
    assert sorted(set(NODES.items()) - on_disk) == []


def test_the_list_is_in_order():
    assert list(NODES) == sorted(NODES)


def test_a_file_declares_one_node_and_is_named_after_it():
    wrong = {module: sorted(names) for module, names in declared().items() if names != {module.rpartition(".")[2]}}
    assert wrong == {}


def test_no_file_is_long():
    lengths = {module: len(path.read_text().splitlines()) for module, path in sources().items()}
    assert {module: lines for module, lines in lengths.items() if lines > 300} == {}
