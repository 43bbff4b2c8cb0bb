"""Workflow files: as bytes, as documents, and as they are shown."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from typing import Any

from ...graph import document
from ...graph.document import MAX_BYTES, WorkflowError
from ...graph.problems import Problem, quoted
from ...graph.provenance import read_provenance
from ...graph.workflow import Workflow
from ...nodes.upgrades import UPGRADES
from .models import OpenedFile

MAX_PICTURE_BYTES = 64 << 20

_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF", b"GIF8", b"BM", b"II*\0", b"MM\0*")
"""How files of pictures begin."""


def etag_of(data: bytes) -> str:
    """Names a state of a file."""
    return hashlib.sha256(data).hexdigest()


def parse(data: bytes) -> Workflow:
    """The workflow in the bytes of a file, upgraded where it is an old one. Raises `WorkflowError`."""
    return Workflow.parse(data, UPGRADES)


def bytes_of(content: Mapping[str, Any]) -> bytes:
    """The file a workflow is saved as, in the current format. Raises `WorkflowError` with everything that is wrong with
    its form."""
    if problems := list(document.faults(content)):
        raise WorkflowError(problems)
    # By way of text, as only what can be read again may be written.
    data = Workflow.parse(json.dumps(dict(content)), UPGRADES).dumps().encode()
    if len(data) > MAX_BYTES:
        sentence = f"The workflow has {len(data) / 1e6:.0f} MB; a file has at most {MAX_BYTES >> 20} MB."
        raise WorkflowError([Problem(sentence)])
    return data


def opened(data: bytes, path: str | None = None, etag: str | None = None, writable: bool = False) -> OpenedFile:
    """The workflow in `data` as it is shown. Raises `WorkflowError`."""
    workflow = parse(data)
    return OpenedFile(
        path=path, content=dict(workflow.document), etag=etag, writable=writable, changes=list(workflow.changes)
    )


def carried(data: bytes, name: str = "") -> bytes:
    """The workflow file in `data`: the JSON itself, or what a picture carries. What it is tells its beginning, not its
    name. Raises `WorkflowError`."""
    shown = quoted(name) if name else "The file"
    if not data.startswith(_PICTURES):
        return data
    if len(data) > MAX_PICTURE_BYTES:
        sentence = f"{shown} has {len(data) / 1e6:.0f} MB; pictures of up to {MAX_PICTURE_BYTES >> 20} MB are opened."
        raise WorkflowError([Problem(sentence)])
    found = read_provenance(io.BytesIO(data))
    if found is None:
        raise WorkflowError([Problem(f"{shown} carries no workflow; PNG pictures written by save_image do.")])
    return found.workflow.encode()
