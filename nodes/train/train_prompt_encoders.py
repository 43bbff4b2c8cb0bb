"""The second stage of shapes-dit: captions to layouts, as Stable Diffusion 3 reads them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ...graph.files import Files, Writes
from ...graph.node import effect
from ...graph.progress import QUIET, Progress
from ..types import Table
from .trained import TextEncoder, as_folder, curve, telling


@effect
def train_prompt_encoders(
    name: Annotated[str, Writes(), Field(description="folder for the checkpoints and the result")] = "train/prompts",
    steps: Annotated[int, Field(ge=1, le=1_000_000, description="of the first encoder")] = 2300,
    second_steps: Annotated[int, Field(ge=1, le=1_000_000, description="of the second, smaller one")] = 1500,
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
    """Train two CLIPTextModelWithProjection to know from a caption what stands where and which words it has.

    A run that was stopped goes on from its last checkpoint; one that is finished is not done again. The folder then
    holds `text_encoder`, `text_encoder_2` and `tokenizer`, in their libraries' layouts. The accuracy is the first's,
    over 500 fresh captions; `words` is the share of pooled embeddings that say exactly the caption's words.
    """
    from .prompt_encoder import LENGTH, fit_prompt_encoder, words_right
    from .text_encoder import captions_at, lesson
    from .tokenizer import new_tokenizer

    folder = files.target(name)
    first, learnt = fit_prompt_encoder(
        folder / "first", steps, batch, rate=rate, seed=seed, report=telling(progress, "first text encoder")
    )
    second, learnt_2 = fit_prompt_encoder(
        folder / "second", second_steps, batch, 64, 1, 4, rate, seed + 1, telling(progress, "second text encoder")
    )
    tokenizer = new_tokenizer(LENGTH)
    first.encoder.save_pretrained(folder / "parts" / "text_encoder")
    second.encoder.save_pretrained(folder / "parts" / "text_encoder_2")
    tokenizer.save_pretrained(folder / "parts" / "tokenizer")
    captions = captions_at(500, seed + 99, 0)
    given = lesson(tokenizer, captions)
    right = first.accuracy(given) | {"words": words_right(first, given, captions)}
    losses = curve("Text encoders", first=learnt.losses, second=learnt_2.losses)
    return TextEncoder(as_folder(folder / "parts"), losses, Table(("answer", "right"), tuple(right.items())))
