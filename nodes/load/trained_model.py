"""Use a model that the same workflow trained."""

from __future__ import annotations

from pathlib import Path

from ...graph.node import node
from ...graph.progress import QUIET, Progress
from ..models.identity import identity
from ..models.inspect import check_folder
from ..types import Folder, Model


@node
def trained_model(folder: Folder, progress: Progress = QUIET) -> Model:
    """Name the model a training node wrote, after the checks load_model makes. Gives a recipe; nothing is loaded."""
    path = Path(folder.path)
    layout = check_folder(path)
    progress.note(models={path.name: identity(path)})  # so that pictures made with it say which weights these were
    return Model(folder.path, layout.family, fingerprint=folder.fingerprint)
