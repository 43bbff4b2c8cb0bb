"""`latentloom export`: a workflow as a Python script."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..graph import atomic
from ..graph.catalog import Catalog
from ..graph.problems import Problem, Refused
from ..nodes.catalog import NODES
from . import folders, opening, script, show


def export_file(file: str, target: Path, inputs: Sequence[Path], models: Sequence[Path], out: Path) -> int:
    """Write the script to `target`. Raises `Refused`."""
    path = opening.find(file)
    if target.suffix != ".py":
        raise Refused([Problem(f"{target} is no .py file; a workflow is exported as a Python script.")])
    text = script.write(
        opening.read(path), Catalog(NODES, "latentloom.nodes"), folders.files(path, inputs, models, out)
    )
    try:
        atomic.write(target, text.encode())
    except OSError as error:
        raise Refused([Problem(f"{target} cannot be written: {error.strerror}.")]) from None
    show.line(f"wrote {target}")
    return 0
