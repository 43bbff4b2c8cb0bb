"""The workflows that ship, as a gallery to begin from."""

from __future__ import annotations

import builtins
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ...graph.problems import Refused, did_you_mean, quoted
from ...graph.workflow import Workflow
from .contents import opened, parse
from .models import OpenedFile, Template
from .refusals import miss
from .roots import Place, Roots

SHIPPED_ROOT = "shipped"
PICTURES = "pictures"
"""The folder beside the workflows with a picture of the same name for each."""

_ENDINGS = (".webp", ".png")


class Templates:
    """By name: the path below the shipped workflows without its ending, `text_to_image` or `train/grade_shapes`."""

    def __init__(self, roots: Roots, folder: Path) -> None:
        self._roots, self._pictures = roots, folder / PICTURES

    def list(self) -> builtins.list[Template]:
        """Those in the folder itself before those in folders below, by name."""
        return [self._template(place) for place in self._places().values()]

    def get(self, name: str) -> OpenedFile:
        """The workflow to begin from; its path is `None`, so that it is saved under a name of its own.

        Raises `Missing`.
        """
        return opened(self._place(name).file.read_bytes(), writable=True)

    def picture(self, name: str) -> Path:
        """The file of a template's picture. Raises `Missing`."""
        found = self._picture(self._place(name).name)
        return found if found is not None else miss(f"The template {quoted(name)} has no picture.")

    def _places(self) -> dict[str, Place]:
        return {place.name: place for place in self._roots.walk(self._roots[SHIPPED_ROOT])}

    def _place(self, name: str) -> Place:
        places = self._places()
        if name not in places:
            miss(f"There is no template {quoted(name)}.{did_you_mean(name, places)}")
        return places[name]

    def _picture(self, name: str) -> Path | None:
        pictures = (self._pictures / f"{name}{ending}" for ending in _ENDINGS)
        return next((picture for picture in pictures if picture.is_file()), None)

    def _template(self, place: Place) -> Template:
        title, about = _said(place.file, place.file.stat().st_mtime_ns)
        shown = self._picture(place.name) is not None
        url = f"/api/templates/{quote(place.name)}/picture" if shown else None
        return Template(name=place.name, title=title or place.name, about=about, picture=url)


@lru_cache(maxsize=256)
def _said(file: Path, _changed: int) -> tuple[str, str]:
    """What a workflow says it is: its name, and its description or its first note."""
    try:
        workflow = parse(file.read_bytes())
    except Refused as refused:
        return "", str(refused)
    return workflow.name, about(workflow)


def about(workflow: Workflow) -> str:
    """What a workflow is for, in its own words: its description, or its first note."""
    notes = workflow.document.get("notes") or [{}]
    first: Any = notes[0]
    said = workflow.document.get("description") or (first.get("text") if isinstance(first, dict) else "")
    return said if isinstance(said, str) else ""
