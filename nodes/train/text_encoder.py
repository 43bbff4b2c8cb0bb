"""The text encoder of the shapes model: a small CLIPTextModel that resolves a caption into a layout, once and for all.

Trained through the denoiser alone a small text encoder never learned which thing stands where: the layout is decided at
noise levels where the loss hardly depends on the caption. So it is trained first, on what the caption means. CLIP's
attention is causal and its padding follows the text, hence every padding position has read the whole caption, and each
has room for an answer: position p answers for the layout's slot p mod 7. A denoiser that looks there by cross-attention
finds at each place a token that says what stands there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from ..shapes.caption import Request, Wanted, random_caption
from ..shapes.scene import BACKGROUNDS, COLOURS, PLACES, RELATIONS, SHAPES, SIZES, random_scenes
from .loop import Descent, Report, Trained, descend, silent
from .tokenizer import new_tokenizer

SLOTS = (*PLACES, "first", "second")
"""Where a caption can put a thing: at a place, or, saying no place, merely first or second."""

ANSWERS = {
    "slot": SLOTS,
    "shape": SHAPES,
    "colour": tuple(COLOURS),
    "size": tuple(SIZES),
    "background": tuple(BACKGROUNDS),
}
"""What a position answers. Answer 0 is "none, or not said"; before the end of the text no position is a slot."""

HEIGHT = 3.0
"""An answer is spelt in coordinates of the hidden state: the right one stands this high, the others are 0. Answers that
a trained head merely could decode were too faint for the denoiser's attention: it found what, but never where."""

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
            max_position_embeddings=tokenizer.model_max_length,
            hidden_act="gelu",
            bos_token_id=cast(int, tokenizer.bos_token_id),
            eos_token_id=cast(int, tokenizer.eos_token_id),
            pad_token_id=cast(int, tokenizer.pad_token_id),
        )
    )


def token_ids(tokenizer: CLIPTokenizer, texts: Sequence[str]) -> Tensor:
    """Token ids (n, L) of texts, all as long as the tokenizer says, as the stock pipelines make them."""
    length = tokenizer.model_max_length
    given = tokenizer(list(texts), padding="max_length", truncation=True, max_length=length, return_tensors="pt")
    return cast(Tensor, given.input_ids)


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
    """Token ids (n, L) and, for each kind, the right answer at each position (n, L), UNASKED where there is none."""

    ids: Tensor
    answers: dict[str, Tensor]


def lesson(tokenizer: CLIPTokenizer, captions: Sequence[tuple[str, Request]]) -> Lesson:
    """Tokenize captions and write down what each position should know."""
    texts = [text for text, _ in captions]
    ids = token_ids(tokenizer, texts)
    answers = {kind: torch.full(ids.shape, UNASKED) for kind in ANSWERS}
    nouns = {cast(int, tokenizer.convert_tokens_to_ids(shape + "</w>")) for shape in SHAPES}
    for row, (_, request) in enumerate(captions):
        filled = layout(request)
        tokens = ids[row].tolist()
        end = tokens.index(tokenizer.eos_token_id)
        answers["slot"][row] = torch.arange(ids.shape[1]) % len(SLOTS) + 1
        answers["slot"][row, :end] = 0
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
    """A text encoder, and its answers as its hidden states spell them."""

    def __init__(self, encoder: CLIPTextModel | CLIPTextModelWithProjection) -> None:
        super().__init__()
        self.encoder = encoder
        self.widths = [1 + len(words) for words in ANSWERS.values()]
        if encoder.config.hidden_size < sum(self.widths):
            raise ValueError(
                f"A text encoder {encoder.config.hidden_size} wide cannot spell its answers: it takes at least "
                f"{sum(self.widths)} coordinates."
            )

    def forward(self, ids: Tensor) -> dict[str, Tensor]:
        """The coordinates (n, L, answers) of each kind of answer for token ids (n, L)."""
        return self.spelt(self.encoder(ids).last_hidden_state)

    def spelt(self, hidden: Tensor) -> dict[str, Tensor]:
        """The coordinates of each kind of answer in hidden states (n, L, width)."""
        return dict(zip(ANSWERS, hidden[..., : sum(self.widths)].split(self.widths, -1), strict=True))

    def loss(self, given: Lesson) -> Tensor:
        """Mean square error of the spelling of token ids."""
        return self.error(self(given.ids), given)

    def error(self, answers: dict[str, Tensor], given: Lesson) -> Tensor:
        """Mean square error of `answers`; "none, or not said" weighs less, because most slots are empty."""
        total = torch.zeros(())
        for kind, spelt in answers.items():
            asked = given.answers[kind]
            right = HEIGHT * functional.one_hot(asked.clamp(min=0), spelt.shape[-1])
            weight = (asked == 0) * 0.3 + (asked > 0) * 1.0
            total = total + ((spelt - right).square().sum(-1) * weight).sum() / weight.sum()
        return total

    @torch.no_grad()
    def accuracy(self, given: Lesson) -> dict[str, float]:
        """Share of right answers of each kind, over the positions where something is said."""
        right = {}
        for kind, spelt in self(given.ids).items():
            said = given.answers[kind] > 0
            right[kind] = (spelt.argmax(-1) == given.answers[kind])[said].float().mean().item()
        return right


def fit_text_encoder(
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
