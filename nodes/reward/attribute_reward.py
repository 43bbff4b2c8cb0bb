"""How much of what a prompt asks for a picture shows, read by the rules that the pictures of shapes are drawn by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ...graph.node import NodeError, node
from ..types import Reward
from .prompts import for_each

if TYPE_CHECKING:
    from torch import Tensor

    from ..shapes.caption import Request
    from ..shapes.grade import Grade


@dataclass(frozen=True)
class AttributeReward(Reward):
    """The share of the attributes asked for (number of things, colour, shape, size, background, place, relation) that
    are right."""

    def begin(self, texts: tuple[str, ...]) -> Callable[[Tensor], Tensor]:
        requests = _requests(texts)

        def score(pixels: Tensor) -> Tensor:
            import torch

            from ..shapes.grade import grade_pictures

            grades = grade_pictures(pixels.detach().float().cpu(), for_each(requests, len(pixels)))
            return torch.tensor([_share(grade) for grade in grades])

        return score


def _share(grade: Grade) -> float:
    marks = [right for right in asdict(grade).values() if right is not None]
    return sum(marks) / len(marks)


def _requests(texts: tuple[str, ...]) -> list[Request]:
    from ..shapes.caption import Request, parse
    from ..shapes.scene import SHAPES

    found, problems = [], []
    for text in texts:
        try:
            found.append(parse(text))
        except ValueError as error:
            problems.append(str(error))
        else:
            if found[-1] == Request():
                problems.append(f"{text!r} asks for nothing that can be read by rule: name a {', '.join(SHAPES)}.")
    if problems:
        raise NodeError(" ".join(problems))
    return found


@node
def attribute_reward() -> Reward:
    """Score pictures of the captioned world of shapes by the share of the attributes asked for that they show, 0 to 1.

    No network is involved, so that the score is exact; other prompts than captions of shapes are refused.
    """
    return AttributeReward()
