"""Which model to work with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from ...graph.files import FileRefused, Files, Reads, fingerprint
from ...graph.node import NodeError, node
from ...graph.problems import closest
from ...graph.progress import QUIET, Progress
from ..models import hub
from ..models.identity import identity
from ..models.inspect import check_file, check_folder, default_config
from ..types import Model

NOWHERE = Files()


@node
def load_model(
    source: Annotated[
        str,
        Reads("models", elsewhere=True),
        Field(description="a folder or .safetensors file in the models folder, or a hub id such as org/name"),
    ],
    revision: Annotated[str | None, Field(description="branch, tag or commit of a hub id")] = None,
    config: Annotated[
        str | None,
        Reads("models", elsewhere=True),
        Field(description="for a single file: the folder or hub id whose configuration it has; empty is found by kind"),
    ] = None,
    files: Files = NOWHERE,
    progress: Progress = QUIET,
) -> Model:
    """Name a model and make sure that it can be read: all parts there, safetensors only, each file whole.

    Gives a recipe; weights are read when something first needs them. Supported are Stable Diffusion 1 and 2, Stable
    Diffusion XL (base), Stable Diffusion 3 and 3.5, Flux.1 dev and schnell, PixArt Alpha and Sigma, as folders in
    diffusers' layout; of Stable Diffusion also one checkpoint file with all text encoders but T5, which it may lack.
    """
    found = _find(source, files)
    if found is None:
        return _from_hub(source, revision, progress)
    if revision:
        raise NodeError(f"revision {revision!r} is for models of the hub, and {source!r} is {found}; leave it empty.")
    if found.is_dir():
        if config:
            raise NodeError(
                f"config {config!r} is for single files, and {source!r} is a folder with its own; leave it empty."
            )
        layout = check_folder(found)
        progress.note(models={source: identity(found)})
        return Model(str(found), layout.family, fingerprint=fingerprint(found))
    if found.suffix != ".safetensors":
        raise NodeError(
            f"{found.name} is no .safetensors file; weights are read from safetensors only, never from pickles."
        )
    layout, kind = check_file(found)
    folder = _configuration(config, kind, files)
    configured = check_folder(folder, with_weights=False)
    if configured.family != layout.family:
        raise NodeError(f"{found.name} is of {layout.title}, and config {folder} of {configured.title}.")
    progress.note(models={source: identity(found, folder)})
    return Model(str(found), layout.family, fingerprint=fingerprint(found, folder), config=str(folder))


def _find(source: str, files: Files) -> Path | None:
    """The absolute path `source` names in the models folders, or None for a hub id. Raises `NodeError`."""
    try:
        return files.find(source, "models").absolute()
    except FileRefused as error:
        if hub.is_id(source):
            return None
        known = sorted(
            path.name for root in files.reading.get("models", ()) if root.is_dir() for path in root.iterdir()
        )
        meant = closest(source, known)
        raise NodeError(f"{error}{f' Did you mean {meant!r}?' if meant else ''}") from None


def _from_hub(source: str, revision: str | None, progress: Progress) -> Model:
    progress.step(0, 1, f"looking for {source} on the hub")
    folder = hub.index(source, revision)
    layout = check_folder(folder, with_weights=False)
    progress.step(0, 1, f"fetching {source} from the hub")
    commit = folder.name
    progress.note(models={source: commit})
    check_folder(hub.fetch(source, commit, layout, progress))
    return Model(source, layout.family, revision=commit, fingerprint=commit)


def _configuration(config: str | None, kind: str, files: Files) -> Path:
    if config:
        return _find(config, files) or hub.index(config, None)
    repo = default_config(kind)
    try:
        return hub.index(repo, None)
    except NodeError as error:
        raise NodeError(
            f"The configuration of this single file is that of {repo}. {error} Or set config to a folder in the models "
            "folder with the same configuration; its weights are not read."
        ) from None
