"""The workflows that ship, as a gallery to begin from."""

from __future__ import annotations

from pathlib import Path

from .models import OpenedFile, Template


class Templates:
    """Names are paths below `shipped` without the ending: `text_to_image`, `train/grade_shapes`."""

    def list(self) -> list[Template]:
        raise NotImplementedError

    def get(self, name: str) -> OpenedFile:
        """The workflow to begin from; its path is `None`, so that it is saved under a name of its own."""
        raise NotImplementedError

    def picture(self, name: str) -> Path:
        raise NotImplementedError
