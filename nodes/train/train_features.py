"""The network in whose eyes pictures are compared."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...graph.files import Files, Writes
from ...graph.node import effect
from ...graph.progress import QUIET, Progress
from ..types import Table
from .trained import Reader, as_folder, curve, telling


@effect
def train_features(
    name: Annotated[str, Writes(), Field(description="folder for the checkpoints and the result")] = "train/features",
    steps: Annotated[int, Field(ge=1, le=1_000_000)] = 2500,
    batch: Annotated[int, Field(ge=1, le=4096, description="pictures a step")] = 32,
    rate: Annotated[float, Field(gt=0, le=0.1, description="highest learning rate")] = 3e-3,
    noise: Annotated[
        float, Field(ge=0, le=1, description="most that is added to a picture, as a standard deviation")
    ] = 0.03,
    seed: Annotated[
        int,
        Field(ge=0, le=2**31, description="of the weights and the pictures", json_schema_extra={"format": "seed"}),
    ] = 0,
    progress: Progress = QUIET,
    *,
    files: Files,
) -> Reader:
    """Train a small network to tell colours, shapes and sizes in pictures of the captioned world, place by place.

    A run that was stopped goes on from its last checkpoint; one that is finished is not done again. The folder then
    holds `model.safetensors`, in half precision. The accuracy is over the things of 500 pictures drawn for grading
    alone. Compare measures the drift of pictures by the one that ships.
    """
    from ..shapes.features import FILE, save
    from ..shapes.scene import held_out_scenes
    from .features import accuracy, fit_features

    folder = files.target(name)
    reader, trained = fit_features(
        folder / "whole", steps, batch, rate=rate, noise=noise, seed=seed, report=telling(progress, "features")
    )
    save(reader, folder / "parts" / FILE)
    right = accuracy(reader, held_out_scenes(500, "test"), 32)
    table = Table(("answer", "right"), tuple((answer, round(share, 4)) for answer, share in right.items()))
    return Reader(as_folder(folder / "parts"), curve("Features", loss=trained.losses), table)
