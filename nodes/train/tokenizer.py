"""A byte-level tokenizer in CLIP's form whose every caption word is one token; any other text still encodes.

Trained in place of being downloaded: byte pair encoding (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909) over
the words of the captioned world, each counted once, run until every word is whole.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from transformers import CLIPTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

from ..shapes.caption import PLACE_WORDS
from ..shapes.scene import BACKGROUNDS, COLOURS, RELATIONS, SHAPES, SIZES

LENGTH = 77


def caption_words() -> list[str]:
    """Every word that a caption may hold, sorted."""
    phrases = [*SHAPES, *SIZES, *COLOURS, *BACKGROUNDS, *PLACE_WORDS.values(), *RELATIONS, "a an and on background ,"]
    return sorted({word for phrase in phrases for word in phrase.split()})


def learn_merges(words: list[str]) -> list[tuple[str, str]]:
    """Byte pair merges, most frequent pair first (of equals the alphabet's first), until each word is one piece."""
    pieces = [[*word[:-1], word[-1] + "</w>"] for word in words]
    merges: list[tuple[str, str]] = []
    while any(len(piece) > 1 for piece in pieces):
        pairs = Counter(pair for piece in pieces for pair in pairwise(piece))
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        pieces = [_merged(piece, best) for piece in pieces]
    return merges


def _merged(piece: list[str], pair: tuple[str, str]) -> list[str]:
    out: list[str] = []
    for part in piece:
        if out and (out[-1], part) == pair:
            out[-1] += part
        else:
            out.append(part)
    return out


def new_tokenizer(length: int = LENGTH) -> CLIPTokenizer:
    """The tokenizer of the captioned world: `length` tokens, padded with its end-of-text token."""
    letters = list(bytes_to_unicode().values())
    merges = learn_merges(caption_words())
    pieces = [*letters, *(letter + "</w>" for letter in letters), *(a + b for a, b in merges)]
    vocabulary = {piece: index for index, piece in enumerate([*pieces, "<|startoftext|>", "<|endoftext|>"])}
    return CLIPTokenizer(
        vocab=vocabulary,
        merges=merges,  # pyright: ignore[reportArgumentType]  # its stub asks for strings; pairs are what it takes
        unk_token="<|endoftext|>",
        bos_token="<|startoftext|>",
        eos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        model_max_length=length,
    )
