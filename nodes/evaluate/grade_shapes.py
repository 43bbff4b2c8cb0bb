"""Did the pictures show what the prompts asked for? Read by the rules they are drawn by; nothing here is learned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...graph.node import NodeError, node
from ...graph.progress import QUIET, Progress
from ..types import Image, Prompts, Table

_AT_ONCE = 50


@node
def grade_shapes(image: Image, prompts: Prompts, progress: Progress = QUIET) -> Table:
    """Share of pictures in which each attribute is right, over those whose prompt asks for it.

    An attribute is right when it is right for every thing asked for. `everything` is right when all attributes are and
    there are as many things as asked for. Works on pictures of the captioned world of shapes, at any size.
    """
    from ..shapes.caption import parse
    from ..shapes.grade import Grade, grade_pictures

    if len(image.pixels) != len(prompts.texts):
        raise NodeError(f"There are {len(image.pixels)} pictures and {len(prompts.texts)} prompts; one each is needed.")
    try:
        requests = [parse(text) for text in prompts.texts]
    except ValueError as error:
        raise NodeError(str(error)) from None
    grades: list[Grade] = []
    for start in range(0, len(requests), _AT_ONCE):
        progress.step(start, len(requests), "grading")
        grades += grade_pictures(image.pixels[start : start + _AT_ONCE], requests[start : start + _AT_ONCE])
    rows = [_share(name, (getattr(each, name) for each in grades)) for name in Grade.__dataclass_fields__]
    rows.append(_share("everything", (each.all for each in grades)))
    for things, title in ((1, "everything, one thing"), (2, "everything, two things")):
        chosen = [each for each, asked in zip(grades, requests, strict=True) if len(asked.things) == things]
        rows.append(_share(title, (each.all for each in chosen)))
    table = tuple(row for row in rows if row[2])
    progress.note(**{name: right for name, right, _ in table})
    return Table(("attribute", "right", "asked"), table)


def _share(name: str, marks: Iterable[bool | None]) -> tuple[str, float, int]:
    asked: Sequence[bool] = [mark for mark in marks if mark is not None]
    return name, round(sum(asked) / len(asked), 4) if asked else 0.0, len(asked)
