"""How strongly a LoRA acts: by block, and by the step of a run."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from ...graph.node import NodeError
from ...graph.problems import did_you_mean

if TYPE_CHECKING:
    from ..guidance.guide import Step

Blocks = tuple[tuple[str, float], ...]
"""(name, factor): `name` is the beginning of a layer's full name (`unet.down_blocks.1`), or a pattern with `*`."""

Curve = tuple[tuple[float, float], ...]
"""(share of the run that is done: 0 at its first step, 1 at its last; factor), sorted by the share."""


def read_blocks(text: str) -> Blocks:
    """One `name = factor` a line. Raises `NodeError`, all lines that are wrong at once."""
    found, problems = [], []
    for line in filter(str.strip, text.splitlines()):
        name, _, factor = (part.strip() for part in line.partition("="))
        try:
            found.append((name, float(factor)))
        except ValueError:
            problems.append(f"{line.strip()!r} is not `name = factor`, such as `unet.up_blocks = 0.5`.")
    if problems:
        raise NodeError("\n".join(problems))
    return tuple(found)


def check_blocks(blocks: Blocks, names: Iterable[str]) -> None:
    """Raises `NodeError` for blocks that none of the layers called `names` is in."""
    names = list(names)
    known = sorted({".".join(name.split(".")[:length]) for name in names for length in (1, 2, 3)})
    problems = [
        f"This LoRA changes no layer called {block!r}.{did_you_mean(block, known)}"
        for block, _ in blocks
        if not any(_within(name, block) for name in names)
    ]
    if problems:
        raise NodeError("\n".join(problems))


def of_block(blocks: Blocks, name: str) -> float:
    """The factor of the layer called `name`: of the last block it is in, 1 outside of all."""
    return next((factor for block, factor in reversed(blocks) if _within(name, block)), 1.0)


def at_step(curve: Curve, step: Step) -> float:
    """The height of the `curve` at `step`: straight between its points, level before the first and after the last."""
    import numpy as np

    done = step.index / max(1, step.total - 1)
    return float(np.interp(done, [share for share, _ in curve], [factor for _, factor in curve]))


def _within(name: str, block: str) -> bool:
    return fnmatchcase(name, block) if "*" in block else name == block or name.startswith(f"{block}.")
