"""Use a model that the same workflow trained."""

from __future__ import annotations

from pathlib import Path

from ...graph.node import node
from ..models.inspect import check_folder
from ..types import Folder, Model


@node
def trained_model(folder: Folder) -> Model:
    """Name the model a training node wrote, after the checks load_model makes. Gives a recipe; nothing is loaded."""
    return Model(folder.path, check_folder(Path(folder.path)).family, fingerprint=folder.fingerprint)
