"""The workflow a person named: a file, the name of one that ships, or a picture that carries the one that made it."""

from __future__ import annotations

import re
from pathlib import Path

from ..graph.document import WorkflowError
from ..graph.problems import Problem, did_you_mean, quoted
from ..graph.provenance import read_provenance
from ..graph.workflow import Workflow
from ..nodes.upgrades import UPGRADES
from .folders import SHIPPED

_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif")


def find(name: str) -> Path:
    """The file `name` names: a path, or a shipped workflow's name, with or without its ending.

    Raises `WorkflowError` with the nearest names there are.
    """
    path = Path(name)
    if path.is_dir():
        raise _refused(f"{quoted(name)} is a folder; name a workflow in it.")
    if path.exists():
        return path
    for candidate in (Path(f"{name}.json"), SHIPPED / path.name, SHIPPED / f"{path.name}.json"):
        if candidate.is_file() and (candidate.parent != SHIPPED or len(path.parts) == 1):
            return candidate
    shipped = sorted(file.stem for file in SHIPPED.glob("*.json"))
    beside = [str(file) for ending in ("*.json", "*.png") for file in path.parent.glob(ending)]
    hint = did_you_mean(name, [*beside, *shipped]) or f" Workflows that ship: {', '.join(shipped)}."
    raise _refused(f"There is no file {quoted(name)}.{hint}")


def read(path: Path) -> Workflow:
    """The workflow in the file or picture at `path`. Raises `WorkflowError`."""
    if path.suffix.lower() not in _PICTURES:
        return Workflow.read(path, UPGRADES)
    carried = read_provenance(path)
    if carried is None:
        raise _refused(f"{quoted(str(path))} carries no workflow; PNG pictures written by save_image do.")
    return Workflow.parse(carried.workflow, UPGRADES)


def file_name(path: Path, workflow: Workflow) -> str:
    """What results of the workflow are named after: its file, or its title if it came in a picture."""
    if path.suffix.lower() not in _PICTURES:
        return path.stem
    return re.sub(r"\W+", "_", workflow.name.lower()).strip("_") or path.stem


def _refused(sentence: str) -> WorkflowError:
    return WorkflowError([Problem(sentence)])
