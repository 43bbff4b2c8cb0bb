"""Weighted prompts through a T5 text encoder (Raffel et al., 2020, https://arxiv.org/abs/1910.10683): one piece of text
of a fixed length, cut where it is longer.

A word of weight w moves from the empty prompt's output at its place, as in `clip.py`. T5 reads in both directions, so
the words around it feel it too. BREAK has no meaning here: the text is one piece.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...graph.progress import Progress
from ..prompt.weights import parse


class Read(NamedTuple):
    """Hidden states (N, L, D) of N prompts, and `mask` (N, L), 1 for their tokens and 0 for padding."""

    tokens: Tensor
    mask: Tensor


def length_of(tokenizer: Any | None, stock: int) -> int:
    """How many tokens are read: as many as the stock pipeline says, but no more than the tokenizer does."""
    return stock if tokenizer is None else min(stock, tokenizer.model_max_length)


def encode(
    encoder: Any,
    tokenizer: Any,
    texts: Sequence[str],
    length: int,
    device: torch.device,
    progress: Progress,
    masked: bool = False,
    change: Callable[[str], str] = str,
) -> Read:
    """Prompts of `length` tokens with their weights applied. `masked`: attention passes over the padding. `change` is
    what the family does to a text first."""
    pieces = [_weighted(tokenizer, text, length, change, progress) for text in texts]
    plain = all(weight == 1 for _, weights in pieces for weight in weights)
    if not plain:
        pieces.append(_weighted(tokenizer, "", length, change, progress))
    ids = torch.tensor([ids + [tokenizer.pad_token_id] * (length - len(ids)) for ids, _ in pieces])
    mask = torch.tensor([[1] * len(ids) + [0] * (length - len(ids)) for ids, _ in pieces])
    out = encoder(ids.to(device), attention_mask=mask.to(device) if masked else None)[0]
    if not plain:
        weights = torch.tensor([weights + [1.0] * (length - len(weights)) for _, weights in pieces[:-1]])[..., None]
        out, empty, weights = out[:-1], out[-1:], weights.to(out)
        out = torch.where(weights == 1, out, empty + (out - empty) * weights)
        mask = mask[:-1]
    return Read(out.float().cpu(), mask)


def _weighted(
    tokenizer: Any, text: str, length: int, change: Callable[[str], str], progress: Progress
) -> tuple[list[int], list[float]]:
    """Token ids with the end mark, at most `length`, and their weights."""
    spans = parse(text)
    said = [(change(span.text), span.weight) for span in spans if span.text is not None]
    found = [
        (token, weight)
        for part, weight in said
        for token in tokenizer(part, add_special_tokens=False, truncation=False, verbose=False).input_ids
    ]
    if len(found) > length - 1 > 0:
        progress.note(prompt=f"{len(found)} tokens are more than T5's {length - 1} here; the rest is not read by it.")
    found = found[: length - 1]
    return [*(token for token, _ in found), tokenizer.eos_token_id], [*(weight for _, weight in found), 1.0]
