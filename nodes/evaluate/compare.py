"""What methods gain and what they cost, at a glance."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from ...graph.node import NodeError, node
from ...graph.progress import QUIET, Progress
from ..types import Figure, Image, Prompts, Results, Reward, Table

Column = Literal["attributes right", "all right", "drift", "PSNR", "SSIM", "reward"]


class Comparison(NamedTuple):
    """Methods beside each other."""

    table: Table
    figure: Figure
    sheet: Image


@node
def compare(
    results: tuple[Results, ...],
    prompts: Prompts | None = None,
    reward: Reward | None = None,
    quality: Annotated[
        Column | None,
        Field(description="upright in the figure; empty: attributes right where they are known, else drift"),
    ] = None,
    pictures: Annotated[int, Field(ge=1, le=20, description="of each method on the sheet")] = 4,
    progress: Progress = QUIET,
) -> Comparison:
    """Set methods beside the first of all, the baseline: what they gain, what they cost, and whether it is worth it.

    `limit` is how many times less a method computes than the baseline: floating-point operations of matrix products,
    convolutions and attention, as PyTorch counts them in the run; work element by element is not counted. `of the
    limit` is how much of that the clock shows.

    `drift` is the distance of a picture from the baseline's in the eyes of a small network that knows the world of
    shapes, as LPIPS without learned weights (https://arxiv.org/abs/1801.03924); with PSNR and SSIM
    (https://doi.org/10.1109/TIP.2003.819861) it tells how much a picture changed, not whether it got worse. That is
    what `attributes right` is for, where `prompts` are of the world of shapes: the share of what was asked for that is
    right. `all right` is the share of pictures of which that holds for everything.

    `beats plain` holds a method against the baseline with as many steps as take the same time, where measure made that
    run: yes, no or equal. What is right decides where it differs, else the drift; a difference counts that is more than
    two standard errors, and more than a hundredth.
    """
    from .comparing import Row, figure, sheet, table
    from .quality import Judge

    every = [(several, each) for several in results for each in several.each]
    if not every:
        raise NodeError("There is nothing to compare: wire results of measure or result into results.")
    known = next((several.prompts for several in results if several.prompts), None)
    judging = next((several.reward for several in results if several.reward), None)
    baseline = every[0][1]
    judge = Judge(baseline.image.pixels, prompts or known, reward or judging)
    rows: dict[tuple[int, str], Row] = {}
    for several, each in sorted(every, key=lambda pair: bool(pair[1].rival)):  # the plain runs first
        progress.step(len(rows), len(every), f"looking at {each.name}")
        rival = rows.get((id(several), each.rival))
        rows[id(several), each.name] = Row(each, judge.look(each.image.pixels), baseline, rival)
    ordered = [rows[id(several), each.name] for several, each in every]
    graded = ordered[0].quality.right is not None
    chosen = quality or ("attributes right" if graded else "drift")
    if all(row.cells[chosen] is None for row in ordered):
        wanted = "a reward" if chosen == "reward" else "prompts of the world of shapes, one for each picture"
        raise NodeError(f"Nothing is known of {chosen!r}: it takes {wanted}.")
    return Comparison(table(ordered), figure(ordered, chosen), sheet(ordered, pictures))
