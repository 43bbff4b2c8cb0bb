"""The second stage of the shapes model: captions to layouts."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...graph.files import Files, Writes
from ...graph.node import effect
from ...graph.progress import QUIET, Progress
from ..types import Table
from .trained import TextEncoder, as_folder, curve, telling


@effect
def train_text_encoder(
    name: Annotated[str, Writes(), Field(description="folder for the checkpoints and the result")] = "train/text",
    steps: Annotated[int, Field(ge=1, le=1_000_000)] = 2300,
    batch: Annotated[int, Field(ge=1, le=4096, description="captions a step")] = 32,
    rate: Annotated[float, Field(gt=0, le=0.1, description="highest learning rate")] = 1e-3,
    seed: Annotated[
        int,
        Field(ge=0, le=2**31, description="of the weights and the captions", json_schema_extra={"format": "seed"}),
    ] = 0,
    progress: Progress = QUIET,
    *,
    files: Files,
) -> TextEncoder:
    """Train a CLIPTextModel to know from a caption what stands where, before any picture is drawn.

    A run that was stopped goes on from its last checkpoint; one that is finished is not done again. The folder then
    holds `text_encoder` and `tokenizer`, in their libraries' layouts. The accuracy is over 500 fresh captions.
    """
    from .text_encoder import captions_at, fit_text_encoder, lesson
    from .tokenizer import new_tokenizer

    folder = files.target(name)
    report = telling(progress, "text encoder")
    reader, trained = fit_text_encoder(folder / "whole", steps, batch, rate=rate, seed=seed, report=report)
    tokenizer = new_tokenizer()
    reader.encoder.save_pretrained(folder / "parts" / "text_encoder")
    tokenizer.save_pretrained(folder / "parts" / "tokenizer")
    right = reader.accuracy(lesson(tokenizer, captions_at(500, seed + 99, 0)))
    table = Table(("answer", "right"), tuple(right.items()))
    return TextEncoder(as_folder(folder / "parts"), curve("Text encoder", loss=trained.losses), table)
