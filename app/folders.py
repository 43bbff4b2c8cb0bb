"""Which folders a run may read and write: the one place that decides."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import platformdirs

from ..graph.files import Files
from ..graph.problems import Problem

SHIPPED = Path(__file__).resolve().parents[1] / "workflows"
"""The workflows that come with latentloom; the models that come with it are below."""

MODELS_VARIABLE = "LATENTLOOM_MODELS"
"""Names more folders of models, divided as in PATH."""


def model_folders(given: Iterable[Path] = ()) -> tuple[Path, ...]:
    """Where models are looked up, first those `given`, then those of the environment, the user's own, the shipped."""
    named = [Path(part) for part in os.environ.get(MODELS_VARIABLE, "").split(os.pathsep) if part]
    own = platformdirs.user_data_path("latentloom", appauthor=False) / "models"
    return tuple(dict.fromkeys([*given, *named, own, SHIPPED / "models"]))


def input_folders(workflow: Path, given: Iterable[Path] = ()) -> tuple[Path, ...]:
    """Where pictures to read are looked up: first those `given`, then `input` beside the workflow, the workflow's own
    folder, `input` in the current one, and the pictures that ship."""
    beside = [workflow.parent / "input", workflow.parent, Path("input")]
    return tuple(dict.fromkeys([*given, *beside, SHIPPED / "input"]))


def files(workflow: Path, inputs: Sequence[Path], models: Sequence[Path], out: Path) -> Files:
    """The folders of a run of the workflow file at `workflow`; results are written below `out`."""
    return Files({"input": input_folders(workflow, inputs), "models": model_folders(models)}, writing=out)


def problems(inputs: Iterable[Path], models: Iterable[Path], out: Path | None = None) -> list[Problem]:
    """What is wrong with the folders named on the command line."""
    found = [
        Problem(f"{option} {folder} is {'a file' if folder.exists() else 'not there'}; name a folder.")
        for option, folders in (("--input", inputs), ("--models", models))
        for folder in folders
        if not folder.is_dir()
    ]
    if out is not None and out.exists() and not out.is_dir():
        found.append(Problem(f"--out {out} is a file; name a folder."))
    return found
