"""Weighted prompts through CLIP text encoders: any length in chunks, each word as strong as it was asked for.

A chunk is what the encoder sees at once (75 tokens between its start and end marks); the chunks' outputs are joined.
A word of weight w moves from the empty prompt's output at its place: `z = z_empty + w (z - z_empty)`, as in ComfyUI
(`ClipTokenWeightEncoder` in comfy/sd1_clip.py). AUTOMATIC1111 scales the output itself and then restores its mean,
which changes every other word too and is undefined where the mean is zero. Without weights nothing is touched: the
numbers are those of the stock pipelines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...graph.node import NodeError
from ...graph.progress import Progress
from ..prompt.weights import Span, parse

MOST_CHUNKS = 64
"""A prompt longer than this (4800 tokens) is refused: it is a mistake, and would be slow at every step."""


@dataclass(frozen=True)
class Encoded:
    """An encoder's output for rows of tokens: `tokens` (R, L, D), `pooled` (R, P) where it has one."""

    tokens: Tensor
    pooled: Tensor | None = None


@dataclass(frozen=True)
class Chunks:
    """Token ids (N, K, L) and weights (N, K, L) of N prompts in K chunks, and the ids (L,) of an empty chunk."""

    ids: Tensor
    weights: Tensor
    empty: Tensor


def check_skip(encoder: Any, skip: int, first: int) -> None:
    """Raises `NodeError` unless `skip` layers can be skipped from the end, `first` being skipped in any case."""
    most = encoder.config.num_hidden_layers - first
    if not 0 <= skip <= most:
        raise NodeError(
            f"clip_skip {skip} is out of range: this model's text encoder lets 0 to {most} layers be skipped."
        )


def chunks(
    texts: Sequence[str], tokenizers: Sequence[Any], encoders: Sequence[Any], progress: Progress
) -> list[Chunks]:
    """The prompts as each encoder reads them, with equally many chunks for all."""
    read = []
    for tokenizer, encoder in zip(tokenizers, encoders, strict=True):
        length = min(tokenizer.model_max_length, encoder.config.max_position_embeddings)
        read.append([_split(tokenizer, length - 2, parse(text)) for text in texts])
    most = max(len(pieces) for prompts in read for pieces in prompts)
    if most > MOST_CHUNKS:
        raise NodeError(f"A prompt of {most} chunks of tokens is too long; at most {MOST_CHUNKS} are taken.")
    if most > 1:
        tokens = max(sum(len(piece) for piece in pieces) for prompts in read for pieces in prompts)
        progress.note(prompt=f"{tokens} tokens are more than the text encoder reads at once; read in {most} chunks.")
    return [
        _rows(prompts, most, tokenizer, min(tokenizer.model_max_length, encoder.config.max_position_embeddings))
        for prompts, tokenizer, encoder in zip(read, tokenizers, encoders, strict=True)
    ]


def weighted(
    batch: Chunks, encoder: Any, device: torch.device, run: Callable[[Tensor, Tensor | None], Encoded]
) -> Encoded:
    """Tokens (N, K * L, D) of all chunks, weights applied, and pooled (N, P) of each prompt's first chunk."""
    prompts, count, length = batch.ids.shape
    rows, weights = batch.ids.flatten(0, 1), batch.weights.flatten(0, 1)
    plain = bool((weights == 1).all())
    if not plain:
        rows = torch.cat([rows, batch.empty[None]])
    # A few models (none of OpenAI's CLIP) also ask not to attend to the padding after the end mark.
    masked = getattr(encoder.config, "use_attention_mask", False)
    out = run(rows.to(device), _mask(rows, batch.empty).to(device) if masked else None)
    tokens = out.tokens
    if not plain:
        tokens, empty = tokens[:-1], tokens[-1:]
        weights = weights[:, :, None].to(tokens)
        tokens = torch.where(weights == 1, tokens, empty + (tokens - empty) * weights)
    pooled = None if out.pooled is None else out.pooled[: prompts * count : count]
    return Encoded(tokens.reshape(prompts, count * length, -1), pooled)


def _split(tokenizer: Any, room: int, spans: Sequence[Span]) -> list[list[tuple[int, float]]]:
    """Token ids with weights, at most `room` a chunk; a span without text begins the next chunk."""
    pieces: list[list[tuple[int, float]]] = [[]]
    for span in spans:
        if span.text is None:
            pieces.append([])
            continue
        ids = tokenizer(span.text, add_special_tokens=False, truncation=False, verbose=False).input_ids
        for token in ids:
            if len(pieces[-1]) == room:
                pieces.append([])
            pieces[-1].append((token, span.weight))
    return pieces


def _rows(prompts: Sequence[Sequence[list[tuple[int, float]]]], count: int, tokenizer: Any, length: int) -> Chunks:
    start, end, pad = tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id

    def ids(piece: list[tuple[int, float]]) -> list[int]:
        return [start, *(token for token, _ in piece), end] + [pad] * (length - 2 - len(piece))

    def strengths(piece: list[tuple[int, float]]) -> list[float]:
        return [1.0, *(weight for _, weight in piece), 1.0] + [1.0] * (length - 2 - len(piece))

    full = [[*pieces, *([[]] * (count - len(pieces)))] for pieces in prompts]
    return Chunks(
        ids=torch.tensor([[ids(piece) for piece in pieces] for pieces in full]),
        weights=torch.tensor([[strengths(piece) for piece in pieces] for pieces in full]),
        empty=torch.tensor(ids([])),
    )


def _mask(rows: Tensor, empty: Tensor) -> Tensor:
    """1 up to and with the first end mark of each row, 0 for the padding after it."""
    end = (rows == empty[1]).int().argmax(dim=1)
    return (torch.arange(rows.shape[1])[None] <= end[:, None]).long()
