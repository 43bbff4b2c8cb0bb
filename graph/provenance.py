"""Where a result comes from, as it is written into what is saved: the workflow, its settings and what it ran with."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

_KEYS = ("latentloom.workflow", "latentloom.settings", "latentloom.lock")


@dataclass(frozen=True)
class Provenance:
    """Handed to a node that saves. `workflow` is the text of the workflow file that gives the result when it is run.

    `settings` holds every setting as it was used, by `node.setting`; `lock` the versions of the libraries and the
    fingerprints of the models; `name` is the workflow's name as a file name; `node` the id of the node that saves.
    """

    workflow: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    lock: Mapping[str, Any] = field(default_factory=dict)
    name: str = "image"
    node: str = "save"

    def texts(self) -> dict[str, str]:
        """The texts a saved file carries, by key; none where nothing is known."""
        if not self.workflow:
            return {}
        return dict(zip(_KEYS, (self.workflow, _json(self.settings), _json(self.lock)), strict=True))

    @classmethod
    def of(cls, texts: Mapping[Any, Any]) -> Provenance | None:
        """What `texts` wrote; `None` where there is no workflow. Damaged settings and locks are left out."""
        workflow, settings, lock = (texts.get(key) for key in _KEYS)
        if not isinstance(workflow, str):
            return None
        return cls(workflow, _mapping(settings), _mapping(lock))


def read_provenance(path: Path | IO[bytes]) -> Provenance | None:
    """What the PNG picture at `path`, or in an open file, carries; `None` for a picture without a workflow and a file
    that is no PNG."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # pixels are not decoded here
            with Image.open(path, formats=("PNG",)) as picture:
                return Provenance.of(picture.info)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError):
        return None


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=1)


def _mapping(text: Any) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
