"""The workflow a person named: a file, the name of one that ships, or a picture that carries the one that made it."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from ..graph.catalog import Catalog
from ..graph.document import WorkflowError
from ..graph.problems import Problem, did_you_mean, quoted
from ..graph.provenance import read_provenance
from ..graph.workflow import Workflow
from ..nodes.catalog import NODES
from ..nodes.upgrades import UPGRADES
from . import script
from .folders import SHIPPED

_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif")
_COMPARED = 500
"""Names in a folder a mistyped one is compared with."""


def find(name: str) -> Path:
    """The file `name` names: a path, or a shipped workflow's name, with or without its ending.

    Raises `WorkflowError` with the nearest names there are.
    """
    path = Path(name)
    try:
        if path.is_dir():
            raise _refused(f"{quoted(name)} is a folder; name a workflow in it.")
        inside = not path.is_absolute() and ".." not in path.parts
        shipped = [SHIPPED / path, SHIPPED / f"{path}.json"] if inside else []
        for candidate in (path, Path(f"{name}.json"), *shipped):
            if candidate.exists():
                return candidate
    except OSError as error:
        raise _refused(f"{quoted(name)} cannot be opened: {error.strerror}.") from None
    raise _refused(f"There is no file {quoted(name)}.{_hint(path)}")


def read(path: Path) -> Workflow:
    """The workflow in the file, picture or exported script at `path`. Raises `WorkflowError`."""
    if path.suffix.lower() == ".py":
        return script.read(path, Catalog(NODES, "latentloom.nodes"))
    if path.suffix.lower() not in _PICTURES:
        return Workflow.read(path, UPGRADES)
    carried = read_provenance(path)
    if carried is None:
        raise _refused(f"{quoted(str(path))} carries no workflow; PNG pictures written by save_image do.")
    return Workflow.parse(carried.workflow, UPGRADES)


def _hint(path: Path) -> str:
    names = sorted(
        file.relative_to(SHIPPED).with_suffix("").as_posix()
        for pattern in ("*.json", "*/*.json")  # deeper lie the configurations of models
        for file in SHIPPED.glob(pattern)
    )
    beside = (str(file) for ending in ("*.json", "*.png") for file in path.parent.glob(ending))
    return did_you_mean(str(path), [*islice(beside, _COMPARED), *names]) or f" Workflows that ship: {', '.join(names)}."


def _refused(sentence: str) -> WorkflowError:
    return WorkflowError([Problem(sentence)])
