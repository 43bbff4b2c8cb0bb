"""A job as the history keeps it: words for the search, pictures for the gallery, states for a closer look."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...graph import atomic
from ...graph.problems import Refused
from ..jobs.wire import JobDetail, Picture
from . import pictures
from .contents import etag_of
from .models import RunPicture
from .shares import PREVIEWS, preview_of

THUMBNAIL = 256
"""Pixels of the longer side."""

MAX_PICTURES = 200
MAX_WORDS = 20_000
"""Characters of a run that a search looks through."""


def words(job: JobDetail, files: Sequence[str]) -> str:
    """What a run is found by, in small letters: prompts and other text settings, types and titles of nodes, its name,
    file and error, and what it wrote."""
    found = dict.fromkeys(text.casefold() for text in _texts(job, files) if text)
    return "\n".join(found)[:MAX_WORDS]


def run_pictures(job: JobDetail, previews: Path) -> list[RunPicture]:
    """The pictures of a job's nodes, each with a thumbnail of its own in the folder of previews."""
    found: list[RunPicture] = []
    for node, state in job.nodes.items():
        for output in state.outputs:
            if isinstance(output, Picture) and len(found) < MAX_PICTURES:
                found.append(
                    RunPicture(
                        thumbnail=_thumbnail(output.url, previews),
                        url=output.url,
                        full=output.full,
                        node=node,
                        width=output.width,
                        height=output.height,
                    )
                )
    return found


def preview_names(shown: Sequence[RunPicture]) -> set[str]:
    """The files in the folder of previews that these need."""
    urls = (url for picture in shown for url in (picture.thumbnail, picture.url))
    return {name for url in urls if (name := preview_of(url)) is not None}


def detail(job: JobDetail, lock: Mapping[str, Any], files: Sequence[str]) -> dict[str, Any]:
    """What is only looked at run by run, as JSON."""
    states = {node: state.model_copy(update={"preview": None}) for node, state in job.nodes.items()}
    return {
        "goals": None if job.goals is None else list(job.goals),
        # By way of text, which has null for what JSON has no number for.
        "nodes": {node: json.loads(state.model_dump_json()) for node, state in states.items()},
        "lock": dict(lock),
        "files": list(files),
    }


def _thumbnail(url: str, previews: Path) -> str:
    """The URL of a small picture; of the picture itself where it is small, or cannot be made smaller."""
    name = preview_of(url)
    if name is None or not (previews / name).is_file():
        return url
    try:
        picture = pictures.decode(previews / name)
    except Refused:
        return url
    if max(picture.size) <= THUMBNAIL:
        return url
    data = pictures.as_thumbnail(picture, THUMBNAIL)
    small = f"{etag_of(data)[:32]}.webp"
    if not (previews / small).exists():
        atomic.write(previews / small, data)
    return f"{PREVIEWS}{small}"


def _texts(job: JobDetail, files: Sequence[str]) -> Iterator[str]:
    yield from (job.name, job.file or "", job.error, *files)
    for entry in job.workflow.get("nodes", {}).values():
        yield from (entry["type"], _text(entry.get("title")))
        for value in entry.get("settings", {}).values():
            yield from map(_text, value if isinstance(value, list) else [value])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
