"""Prompts whose pictures can be graded by rule."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ...graph.node import node
from ..shapes.caption import caption, request_of
from ..shapes.scene import held_out_scenes
from ..types import Prompts


@node
def shapes_prompts(
    count: Annotated[int, Field(ge=1, le=10_000, description="how many; one thing and two things by turns")] = 500,
    part: Annotated[
        Literal["validation", "test"], Field(description="choose settings on validation, report figures on test")
    ] = "test",
) -> Prompts:
    """Full captions of scenes drawn for grading alone, such as "a large red circle above a small blue bar on a black
    background".

    There are 3500 captions of one thing, so training meets those too; of the 352 800 of two things it meets few.
    """
    return Prompts(tuple(caption(request_of(scene)) for scene in held_out_scenes(count, part)))
