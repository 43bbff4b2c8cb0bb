"""Models of the Hugging Face hub, by id "organisation/name", through its own cache on this machine.

Only the parts of the family, and of these only JSON, text and safetensors, are fetched: never a pickle, never the
copies in other formats that repositories hold beside them.
"""

from __future__ import annotations

import io
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...graph.node import NodeError
from ...graph.progress import QUIET, Progress
from .layouts import Layout

_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


def is_id(source: str) -> bool:
    """Whether `source` is written as the id of a model on the hub."""
    return _ID.fullmatch(source) is not None


def index(repo: str, revision: str | None) -> Path:
    """The cached folder of the repository with its configuration, without weights. Raises `NodeError`."""
    return _download(repo, revision, ["model_index.json", "*/*.json", "*/*.txt"])


@lru_cache(maxsize=64)
def snapshot(repo: str, revision: str | None, layout: Layout) -> Path:
    """What `fetch` gives; the hub is asked once a process."""
    return fetch(repo, revision, layout)


def fetch(repo: str, revision: str | None, layout: Layout, progress: Progress = QUIET) -> Path:
    """The cached folder of the repository with all parts of `layout`, of which what is lacking is fetched.

    Half precision is taken where a part comes in nothing else. Raises `NodeError`.
    """
    patterns = ["model_index.json"]
    for part in layout.parts:
        patterns += [f"{part.name}/*.json", f"{part.name}/*.txt", f"{part.name}/*.model"]
        if part.weights:
            patterns += [f"{part.name}/{part.weights}.safetensors", f"{part.name}/{part.weights}-*-of-*.safetensors"]
    folder = _download(repo, revision, patterns, progress)
    half = [
        pattern
        for part in layout.weighted
        if not any((folder / part.name).glob("*.safetensors"))
        for pattern in (
            f"{part.name}/{part.weights}.fp16.safetensors",
            f"{part.name}/{part.weights}.fp16-*.safetensors",
        )
    ]
    return _download(repo, revision, half, progress) if half else folder


def _download(repo: str, revision: str | None, patterns: list[str], progress: Progress = QUIET) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    at = f" at revision {revision!r}" if revision else ""
    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=patterns, tqdm_class=_bars(progress)))
    except LocalEntryNotFoundError:
        raise NodeError(
            f"{repo}{at} is not in the hub's cache on this machine, and the hub cannot be reached (or HF_HUB_OFFLINE "
            "is set). Fetch it where there is a network, or name a model in the models folder."
        ) from None
    except GatedRepoError:
        raise NodeError(
            f"{repo} asks for its terms to be accepted on huggingface.co, then for `hf auth login`."
        ) from None
    except RevisionNotFoundError:
        raise NodeError(f"{repo} has no revision {revision!r} on the hub.") from None
    except RepositoryNotFoundError:
        raise NodeError(f"There is no model {repo} on the hub, or it is private and needs `hf auth login`.") from None
    except (HfHubHTTPError, OSError) as error:
        raise NodeError(f"{repo} could not be fetched from the hub: {error}") from None


def _bars(progress: Progress) -> Any:
    """The hub's progress bars, told through `progress` instead of drawn."""
    from tqdm.auto import tqdm

    class Bar(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            options.pop("name", None)
            super().__init__(*args, **{**options, "file": io.StringIO(), "disable": False})

        def display(self, *_: Any, **__: Any) -> None:
            if self.unit == "B" and self.total:
                progress.step(int(self.n), int(self.total), "fetching from the hub, bytes")

    return Bar
