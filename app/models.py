"""`latentloom models`: which models are here, and where they were looked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table

from ..graph.node import NodeError
from ..nodes.models.inspect import check_file, check_folder, configs
from ..nodes.models.layouts import describe_configs
from . import show
from .folders import MODELS_VARIABLE, model_folders


@dataclass(frozen=True)
class Found:
    """A model in one of the folders. `name` is what load_model takes; `picture` (width, height) is its own size."""

    name: str
    folder: str
    family: str = ""
    bytes: int = 0
    picture: tuple[int, int] | None = None
    problem: str = ""


def print_models(given: Sequence[Path], as_json: bool) -> int:
    """Print all models found; what cannot be used is shown with the reason."""
    roots = model_folders(given)
    found = [model for root in roots for model in _in(root)]
    if as_json:
        show.document({"folders": [str(root) for root in roots], "models": [asdict(model) for model in found]})
        return 0
    usable = [model for model in found if not model.problem]
    if usable:
        table = Table("name", "family", "on disk", "picture", "folder", box=None, padding=(0, 2, 0, 0))
        for model in usable:
            size = "{} x {}".format(*model.picture) if model.picture else ""
            table.add_row(model.name, model.family, show.in_bytes(model.bytes), size, model.folder)
        show.console().print(table)
    else:
        show.line("No model was found.")
    for model in found:
        if model.problem:
            show.line(f"Not usable: {model.problem}", style="yellow")
    show.line(f"\nLooked in (add folders with --models or {MODELS_VARIABLE}):", style="dim")
    for root in roots:
        show.line(f"  {root}{'' if root.is_dir() else ' (not there)'}", style="dim")
    return 0


def usable_models(roots: Sequence[Path]) -> list[str]:
    """Names of the models in these folders that load_model takes."""
    return [model.name for root in roots for model in _in(root) if not model.problem]


def _in(root: Path) -> Iterator[Found]:
    """Models in a folder and one level of folders below, as `organisation/name`."""
    for path in sorted(root.glob("*")) if root.is_dir() else ():
        if path.is_dir() and not (path / "model_index.json").is_file():
            yield from (_look(inner, root) for inner in sorted(path.glob("*")) if _is_model(inner))
        elif _is_model(path):
            yield _look(path, root)


def _is_model(path: Path) -> bool:
    return (path / "model_index.json").is_file() if path.is_dir() else path.suffix == ".safetensors"


def _look(path: Path, root: Path) -> Found:
    name, folder = path.relative_to(root).as_posix(), str(root)
    try:
        if path.is_file():
            layout, _ = check_file(path)
            return Found(name, folder, layout.family, path.stat().st_size)
        layout = check_folder(path)
        height, width = describe_configs(layout, configs(path)).default
    except NodeError as error:
        return Found(name, folder, problem=str(error))
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return Found(name, folder, layout.family, size, (width, height))
