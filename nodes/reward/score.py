"""How well did each picture turn out?"""

from __future__ import annotations

from typing import NamedTuple

from ...graph.node import node
from ...graph.progress import QUIET, Progress
from ..types import Image, Prompts, Reward, Table
from .prompts import for_each

_AT_ONCE = 50


class Scores(NamedTuple):
    """A row a picture, and a row over all of them."""

    pictures: Table
    summary: Table


@node
def score(image: Image, prompts: Prompts, reward: Reward, progress: Progress = QUIET) -> Scores:
    """Score pictures, made of one prompt or of one each, with a reward: the more, the better.

    `summary` tells the number of pictures and the mean, least and most of their scores.
    """
    texts = for_each(prompts.texts, len(image.pixels))
    scores: list[float] = []
    for start in range(0, len(texts), _AT_ONCE):
        progress.step(start, len(texts), "scoring")
        rows = slice(start, start + _AT_ONCE)
        scores += reward.begin(tuple(texts[rows]))(image.pixels[rows]).tolist()
    mean = sum(scores) / len(scores)
    progress.note(mean_score=mean)
    pictures = tuple((i, text, one) for i, (text, one) in enumerate(zip(texts, scores, strict=True)))
    summary = (len(scores), mean, min(scores), max(scores))
    return Scores(
        Table(("picture", "prompt", "score"), pictures), Table(("pictures", "mean", "least", "most"), (summary,))
    )
