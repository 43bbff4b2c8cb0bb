"""How good pictures are: how near to those of the baseline, and how much of what was asked for is right."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from statistics import fmean

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from ...graph.node import NodeError
from ..shapes.caption import Request, parse
from ..shapes.features import distance
from ..shapes.grade import Grade, grade_pictures
from ..types import Prompts, Reward

AT_ONCE = 50


@dataclass(frozen=True, eq=False)
class Quality:
    """Of the pictures of one method, one number each: (n,) float32.

    `error` is the mean squared error, `similarity` the structural similarity (https://doi.org/10.1109/TIP.2003.819861)
    and `drift` the distance in the eyes of a network (`nodes/shapes/features.py`) from the baseline's picture. `right`
    is the share of the attributes asked for that are right, `wholly` whether all are; None where the prompts are not of
    the world of shapes. `reward` is what a reward gives.
    """

    error: Tensor
    similarity: Tensor
    drift: Tensor
    right: Tensor | None = None
    wholly: Tensor | None = None
    reward: Tensor | None = None

    @property
    def psnr(self) -> float | None:
        """Decibels, of the mean error of all pictures; None for equal ones."""
        error = float(self.error.mean())
        return -10 * math.log10(error) if error else None


class Judge:
    """Looks at pictures (n, 3, h, w) in [0, 1] beside the `reference`, of the baseline."""

    def __init__(self, reference: Tensor, prompts: Prompts | None, reward: Reward | None) -> None:
        self._reference = reference
        texts = None if prompts is None else prompts.texts
        if texts is not None and len(texts) not in (1, len(reference)):
            raise NodeError(
                f"There are {len(reference)} pictures and {len(texts)} prompts; one each is needed, or one."
            )
        if reward is not None and texts is None:
            raise NodeError("A reward judges pictures by their prompts: wire these into prompts too.")
        self._requests = None if texts is None else _requests(texts, len(reference))
        self._score: Callable[[Tensor], Tensor] | None = None
        if reward is not None and texts is not None:
            self._score = reward.begin(texts)

    def look(self, pictures: Tensor) -> Quality:
        """Raises `NodeError` for pictures of another size or number."""
        if pictures.shape != self._reference.shape:
            ours, theirs = (f"{len(each)} of {each.shape[-1]}x{each.shape[-2]}" for each in (pictures, self._reference))
            raise NodeError(f"Pictures are compared one by one: {ours} pixels and {theirs} do not go together.")
        errors, similarities, drifts = zip(*self._compared(pictures), strict=True)
        right = wholly = None
        if self._requests is not None:
            grades = grade_pictures(pictures, self._requests)
            right = torch.tensor([_share(grade) for grade in grades])
            wholly = torch.tensor([float(grade.all) for grade in grades])
        reward = None if self._score is None else self._score(pictures)
        return Quality(torch.cat(errors), torch.cat(similarities), torch.cat(drifts), right, wholly, reward)

    def _compared(self, pictures: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for ours, theirs in zip(pictures.split(AT_ONCE), self._reference.split(AT_ONCE), strict=True):
            # Exactly: where a picture is flat, its variance in float32 is what rounding leaves of it.
            pair = (ours.double(), theirs.double())
            similarity = structural_similarity_index_measure(*pair, reduction="none", data_range=1.0)
            assert isinstance(similarity, Tensor)
            yield (ours - theirs).square().mean((1, 2, 3)), similarity.reshape(-1), distance(ours, theirs)


def better(first: Quality, second: Quality) -> int:
    """1 where the first is better, -1 where it is worse, 0 where nothing tells them apart.

    What is right decides where it differs, else the drift. A difference counts that is more than two standard errors
    of the mean of the differences picture by picture, and more than a hundredth of the larger.
    """
    if first.right is not None and second.right is not None and (decided := _sign(first.right, second.right)):
        return decided
    return _sign(second.drift, first.drift)


def _sign(first: Tensor, second: Tensor) -> int:
    difference = first.double() - second.double()
    mean = float(difference.mean())
    doubt = 2 * float(difference.std()) / math.sqrt(len(difference)) if len(difference) > 1 else 0.0
    least = 0.01 * max(abs(float(first.mean())), abs(float(second.mean())))
    return 0 if abs(mean) <= max(doubt, least) else int(math.copysign(1, mean))


def _requests(texts: tuple[str, ...], images: int) -> list[Request] | None:
    """What is asked for of each picture; None where a prompt names nothing of the world of shapes."""
    try:
        requests = [parse(text) for text in texts]
    except ValueError:
        return None
    return requests * (images // len(requests)) if all(request.things for request in requests) else None


def _share(grade: Grade) -> float:
    return fmean(float(mark) for mark in asdict(grade).values() if mark is not None)
