"""The text encoders of shapes-dit: CLIPTextModelWithProjection, two of them, read as Stable Diffusion 3 reads its own.

Its pipeline takes the hidden states before the last layer, without the final norm, and what the last layer makes of the
end mark as the pooled embedding. So the layout is spelt one layer earlier than in `text_encoder.py`, and the pooled
embedding spells which words the caption holds, for what concerns the whole picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

from ..shapes.caption import Request
from ..shapes.scene import BACKGROUNDS, COLOURS, SHAPES, SIZES
from .loop import Descent, Report, Trained, descend, silent
from .text_encoder import HEIGHT, Lesson, Reader, captions_at, lesson
from .tokenizer import new_tokenizer

LENGTH = 24
"""Tokens of a prompt: the longest caption has 16 with both marks, and seven positions of padding spell the slots."""

WORDS = (*SHAPES, *COLOURS, *SIZES, *BACKGROUNDS)
"""What the pooled embedding says, one coordinate each: HEIGHT where the caption asks for it, else 0."""


def new_prompt_encoder(
    tokenizer: CLIPTokenizer, width: int = 128, layers: int = 3, heads: int = 4, pooled: int = 64
) -> CLIPTextModelWithProjection:
    """An untrained encoder whose last layer but one is number `layers`, and whose pooled embedding is `pooled` wide."""
    return CLIPTextModelWithProjection(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=4 * width,
            projection_dim=pooled,
            num_hidden_layers=layers + 1,
            num_attention_heads=heads,
            max_position_embeddings=tokenizer.model_max_length,
            hidden_act="gelu",
            bos_token_id=cast(int, tokenizer.bos_token_id),
            eos_token_id=cast(int, tokenizer.eos_token_id),
            pad_token_id=cast(int, tokenizer.pad_token_id),
        )
    )


def asked_words(requests: Sequence[Request]) -> Tensor:
    """What the pooled embeddings (n, words) of requests should be."""
    right = torch.zeros(len(requests), len(WORDS))
    for row, request in enumerate(requests):
        said = [request.background, *(word for thing in request.things for word in vars(thing).values())]
        right[row, [WORDS.index(word) for word in said if word]] = HEIGHT
    return right


class PromptReader(Reader):
    """A text encoder, the answers its last layer but one spells, and the words its pooled embedding does."""

    def read(self, ids: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The answers for token ids (n, L), as `Reader.forward` gives them, and the pooled words (n, words)."""
        read = self.encoder(ids, output_hidden_states=True)
        return self.spelt(read.hidden_states[-2]), read.text_embeds[:, : len(WORDS)]

    def forward(self, ids: Tensor) -> dict[str, Tensor]:
        return self.read(ids)[0]

    def loss_of(self, given: Lesson, requests: Sequence[Request]) -> Tensor:
        """Mean square error of both spellings; a word that was not said weighs less, because most were not."""
        answers, words = self.read(given.ids)
        right = asked_words(requests)
        weight = torch.where(right > 0, 1.0, 0.3)
        return self.error(answers, given) + ((words - right).square() * weight).sum(1).mean()


@torch.no_grad()
def words_right(reader: PromptReader, given: Lesson, captions: Sequence[tuple[str, Request]]) -> float:
    """Share of pooled embeddings in [0, 1] that say exactly the words of their captions."""
    said = reader.read(given.ids)[1] > HEIGHT / 2
    asked = asked_words([request for _, request in captions]) > 0
    return (said == asked).all(1).float().mean().item()


def fit_prompt_encoder(
    folder: Path,
    steps: int = 2300,
    batch: int = 32,
    width: int = 128,
    layers: int = 3,
    heads: int = 4,
    rate: float = 1e-3,
    seed: int = 0,
    report: Report = silent,
    stop_after: int | None = None,
) -> tuple[PromptReader, Trained]:
    """Train a text encoder in `folder`, resuming where it stopped. Returns the averaged model and the curve."""
    torch.manual_seed(seed)
    tokenizer = new_tokenizer(LENGTH)
    reader = PromptReader(new_prompt_encoder(tokenizer, width, layers, heads))

    def loss_at(step: int) -> Tensor:
        captions = captions_at(batch, seed, step)
        return reader.loss_of(lesson(tokenizer, captions), [request for _, request in captions])

    trained = descend(folder, reader, loss_at, Descent(steps, rate, warmup=200), report, stop_after)
    reader.load_state_dict(trained.weights)
    return reader.eval(), trained
