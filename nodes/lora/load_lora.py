"""Which LoRA to work with."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

from pydantic import Field

from ...graph.files import FileRefused, Files, Reads, fingerprint
from ...graph.node import NodeError, node
from ...graph.problems import closest
from ...graph.progress import QUIET, Progress
from ..models.identity import identity
from ..types import Model
from .lora import Lora
from .source import LoraFile

NOWHERE = Files()


@node(title="Load LoRA")
def load_lora(
    model: Model,
    source: Annotated[
        str,
        Reads("models"),
        Field(min_length=1, description="a .safetensors file or a folder of peft's in the models folder"),
    ],
    files: Files = NOWHERE,
    progress: Progress = QUIET,
) -> Lora:
    """Name a LoRA made for models like `model`, and make sure that all of it is understood and fits.

    Gives a recipe, for `apply_lora`, `merge_loras` and `save_lora`. Read are the layouts of kohya (with LyCORIS' LoHa,
    LoKr and full differences), diffusers and peft, for the denoiser and the text encoders; rank-stabilised and
    decomposed (DoRA) ones too. What is in the file and not understood is told and refused: nothing is left out
    silently.
    https://arxiv.org/abs/2106.09685
    """
    path = _find(source, files)
    lora = LoraFile(
        Model(model.source, model.family, model.revision, model.fingerprint, config=model.config),
        str(path),
        fingerprint(path),
    )
    changes = lora.load()
    kinds = Counter(type(change).__name__ for part in changes.values() for change in part.values())
    progress.note(
        models={source: identity(path)},
        layers={part: len(changed) for part, changed in changes.items()},
        kinds=dict(kinds),
        ranks=sorted({change.rank for part in changes.values() for change in part.values()}),
    )
    return lora


def _find(source: str, files: Files) -> Path:
    try:
        path = files.find(source, "models").absolute()
    except FileRefused as error:
        roots = [root for root in files.reading.get("models", ()) if root.is_dir()]
        meant = closest(source, sorted(each.name for root in roots for each in root.iterdir()))
        raise NodeError(f"{error}{f' Did you mean {meant!r}?' if meant else ''}") from None
    if path.is_file() and path.suffix != ".safetensors":
        raise NodeError(
            f"{path.name} is no .safetensors file; weights are read from safetensors only, never from pickles."
        )
    return path
