"""The text encoder of the shapes model: a small CLIPTextModel that resolves a caption into a layout, once and for all.

Trained through the denoiser alone a small text encoder never learned which thing stands where: the layout is decided at
noise levels where the loss hardly depends on the caption. So it is trained first, on what the caption means. CLIP's
attention is causal and its padding follows the text, hence every padding position has read the whole caption, and each
has room for an answer: position p answers for the layout's slot p mod 7. A denoiser that looks there by cross-attention
finds at each place a token that says what stands there. The linear heads that read the answers are thrown away.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from ..shapes.caption import Request, Wanted, random_caption
from ..shapes.scene import BACKGROUNDS, COLOURS, PLACES, RELATIONS, SHAPES, SIZES, random_scenes
from .loop import Descent, Report, Trained, descend, silent
from .tokenizer import LENGTH, new_tokenizer

SLOTS = (*PLACES, "first", "second")
"""Where a caption can put a thing: at a place, or, saying no place, merely first or second."""

ANSWERS = {"shape": SHAPES, "colour": tuple(COLOURS), "size": tuple(SIZES), "background": tuple(BACKGROUNDS)}
"""What each head answers; answer 0 is "none, or not said"."""

UNASKED = -100


def new_text_encoder(tokenizer: CLIPTokenizer, width: int = 128, layers: int = 3, heads: int = 4) -> CLIPTextModel:
    """An untrained CLIPTextModel for `tokenizer`."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=4 * width,
            projection_dim=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            max_position_embeddings=LENGTH,
            hidden_act="gelu",
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def layout(request: Request) -> dict[str, Wanted]:
    """Which slots of SLOTS a request fills, and with what."""
    if request.place:
        names: Sequence[str] = (request.place,)
    elif request.relation:
        names = RELATIONS[request.relation]
    else:
        names = ("first", "second")
    return dict(zip(names, request.things, strict=False))


class Lesson(NamedTuple):
    """Token ids (n, 77) and, for each head, the right answer at each position (n, 77), UNASKED where there is none."""

    ids: Tensor
    answers: dict[str, Tensor]


def lesson(tokenizer: CLIPTokenizer, captions: Sequence[tuple[str, Request]]) -> Lesson:
    """Tokenize captions and write down what each position should know."""
    texts = [text for text, _ in captions]
    ids = tokenizer(texts, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt").input_ids
    answers = {head: torch.full(ids.shape, UNASKED) for head in ANSWERS}
    nouns = {tokenizer.convert_tokens_to_ids(shape + "</w>") for shape in SHAPES}
    for row, (_, request) in enumerate(captions):
        filled = layout(request)
        tokens = ids[row].tolist()
        end = tokens.index(tokenizer.eos_token_id)
        for slot, name in enumerate(SLOTS):
            thing = filled.get(name)
            for head in ("shape", "colour", "size"):
                answers[head][row, end + (slot - end) % len(SLOTS) :: len(SLOTS)] = _answer(head, thing)
        answers["background"][row, end:] = _index("background", request.background)
        at = [position for position in range(end) if tokens[position] in nouns]
        for position, thing in zip(at, request.things, strict=True):
            for head in ("shape", "colour", "size"):
                answers[head][row, position] = _answer(head, thing)
    return Lesson(ids, answers)


def _answer(head: str, thing: Wanted | None) -> int:
    return 0 if thing is None else _index(head, getattr(thing, head))


def _index(head: str, word: str | None) -> int:
    return 0 if word is None else 1 + ANSWERS[head].index(word)


def captions_at(count: int, seed: int, step: int) -> list[tuple[str, Request]]:
    """Fresh captions for one step; one in twenty is empty, as for guidance."""
    stream = f"text/{seed}/{step}"
    random = Random(f"words/{stream}")
    return [
        ("", Request()) if random.random() < 0.05 else random_caption(scene, random)
        for scene in random_scenes(count, stream)
    ]


class Reader(nn.Module):
    """A text encoder with a linear head for each kind of answer."""

    def __init__(self, encoder: CLIPTextModel) -> None:
        super().__init__()
        self.encoder = encoder
        width = encoder.config.hidden_size
        self.heads = nn.ModuleDict({head: nn.Linear(width, 1 + len(words)) for head, words in ANSWERS.items()})

    def forward(self, ids: Tensor) -> dict[str, Tensor]:
        """Scores (n, 77, answers) of each head for token ids (n, 77)."""
        hidden = self.encoder(ids).last_hidden_state
        return {head: layer(hidden) for head, layer in self.heads.items()}

    def loss(self, given: Lesson) -> Tensor:
        """Mean cross-entropy; "none, or not said" weighs less, because most slots of a layout are empty."""
        total = torch.zeros(())
        for head, scores in self(given.ids).items():
            answers = given.answers[head]
            each = functional.cross_entropy(scores.transpose(1, 2), answers, ignore_index=UNASKED, reduction="none")
            said = answers > 0
            weight = (answers == 0) * 0.3 + said * 1.0
            total = total + (each * weight).sum() / weight.sum()
        return total

    @torch.no_grad()
    def accuracy(self, given: Lesson) -> dict[str, float]:
        """Share of right answers of each head, over the positions where something is said."""
        right = {}
        for head, scores in self(given.ids).items():
            said = given.answers[head] > 0
            right[head] = (scores.argmax(-1) == given.answers[head])[said].float().mean().item()
        return right


def fit_text_encoder(
    folder: Path,
    steps: int = 4000,
    batch: int = 32,
    width: int = 128,
    layers: int = 3,
    heads: int = 4,
    rate: float = 1e-3,
    seed: int = 0,
    report: Report = silent,
    stop_after: int | None = None,
) -> tuple[Reader, Trained]:
    """Train the text encoder in `folder`, resuming where it stopped. Returns the averaged model and the curve."""
    torch.manual_seed(seed)
    tokenizer = new_tokenizer()
    reader = Reader(new_text_encoder(tokenizer, width, layers, heads))

    def loss_at(step: int) -> Tensor:
        return reader.loss(lesson(tokenizer, captions_at(batch, seed, step)))

    trained = descend(folder, reader, loss_at, Descent(steps, rate, warmup=200), report, stop_after)
    reader.load_state_dict(trained.weights)
    return reader.eval(), trained
