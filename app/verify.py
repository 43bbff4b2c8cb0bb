"""`latentloom verify`: run what was made before again, and tell whether the same pixels come out, and if not, why."""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from ..graph.catalog import Catalog
from ..graph.node import NodeError
from ..graph.problems import Problem, Refused, quoted
from ..graph.run import RunResult, run
from ..graph.store import versions
from ..graph.workflow import Workflow
from ..nodes.catalog import NODES
from ..nodes.models import runtime
from ..nodes.models.runtime import RuntimeSettings
from . import folders, opening, show
from .jobs.plain import plain
from .memory import explain

PICTURES = "pictures"
"""What of the lock of a workflow file tells the pixels each node saves: their hashes, in the order of writing."""


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line."""

    file: str
    inputs: Sequence[Path]
    models: Sequence[Path]
    machine: RuntimeSettings
    write: bool
    as_json: bool


def verify_file(request: Request) -> int:
    """0 when the same pixels came out, 1 when others did. Raises `Refused` where there is nothing to compare with."""
    path = opening.find(request.file)
    workflow = opening.read(path)
    expected = workflow.lock.get(PICTURES)
    is_picture = path.suffix.lower() == ".png"
    if not is_picture and not request.write and not isinstance(expected, dict):
        raise Refused([Problem(f"{path} does not say which pixels it gives: --write runs it and writes that down.")])
    with tempfile.TemporaryDirectory() as folder:
        result = _run(workflow, path, Path(folder), request)
        made = {node: [Path(file) for file in files] for node, files in _written(result)}
        lock = {**versions(), "machine": runtime.salt(request.machine), "models": plain(result.models)}
        if is_picture:
            report = _compared(path, [file for files in made.values() for file in files])
        else:
            hashes = {node: [_hash(file) for file in files] for node, files in made.items()}
            if request.write:
                workflow.with_lock({**lock, PICTURES: hashes}).save(path)
                show.line(f"{path} now says which pixels it gives.")
                return 0
            report = {"same": hashes == expected, "different": sorted(_differing(hashes, expected or {}))}
    changes = list(changed(workflow.lock, lock))
    if request.as_json:
        show.document({**report, "lock": changes})
    else:
        _print(report, changes)
    return 0 if report["same"] else 1


def changed(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each part of a lock that is not what it was."""
    for name in (*versions(), "machine"):
        if name in then and then[name] != now.get(name):
            yield f"{name} was {then[name]} and is {now.get(name, 'not there')}."
    models, are = then.get("models", {}), now.get("models", {})
    for name, fingerprint in models.items():
        if name not in are:
            yield f"The model {quoted(name)} was used, and is not now."
        elif are[name] != fingerprint:
            yield f"The model {quoted(name)} has other weights: {fingerprint} then, {are[name]} now."
    yield from (f"The model {quoted(name)} is used now, and was not." for name in are if name not in models)


def _run(workflow: Workflow, path: Path, out: Path, request: Request) -> RunResult:
    try:
        salt = runtime.salt(request.machine)
    except NodeError as error:
        raise Refused([Problem(str(error))]) from None
    runtime.use_settings(request.machine)
    files = folders.files(path, request.inputs, request.models, out)
    with redirect_stdout(sys.stderr):
        result = run(workflow, Catalog(NODES, "latentloom.nodes"), files=files, salt=salt, explain=explain)
    if not result.ok:
        failed = [Problem(f"{node}: {each.error}") for node, each in result.outcomes.items() if each.status == "failed"]
        raise Refused(failed or [Problem("The run was interrupted.")])
    return result


def _written(result: RunResult) -> Iterator[tuple[str, Sequence[str]]]:
    for node, outcome in result.outcomes.items():
        if files := outcome.notes.get("files"):
            yield node, files


def _compared(path: Path, made: Sequence[Path]) -> dict[str, Any]:
    """How near the nearest of the pictures made now is."""
    wanted = _pixels(path)
    apart = [int(np.abs(_pixels(file) - wanted).max()) for file in made if _pixels(file).shape == wanted.shape]
    return {"same": 0 in apart, "largest_difference": min(apart, default=None), "pictures": len(made)}


def _pixels(path: Path) -> np.ndarray:
    with Pillow.open(path) as picture:
        return np.asarray(picture.convert("RGB"), dtype=np.int16)


def _hash(path: Path) -> str:
    pixels = _pixels(path)
    return "sha256:" + hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()


def _differing(hashes: Mapping[str, Any], expected: Mapping[str, Any]) -> set[str]:
    return {node for node in hashes.keys() | expected.keys() if hashes.get(node) != expected.get(node)}


def _print(report: Mapping[str, Any], changes: Sequence[str]) -> None:
    if report["same"]:
        show.line("The same pixels came out.", style="green")
    elif "different" in report:
        show.line(f"Other pixels came out of {', '.join(report['different'])}.", style="red")
    elif report["largest_difference"] is None:
        show.line(f"No picture of that size came out, of {report['pictures']}.", style="red")
    else:
        show.line(f"Other pixels came out: up to {report['largest_difference']} of 255 apart.", style="red")
    for sentence in changes:
        show.line(f"  {sentence}")
    if not report["same"] and not changes:
        show.line("  The lock is the same: versions, models and machine are what they were.")
