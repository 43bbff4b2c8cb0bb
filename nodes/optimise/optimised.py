"""What nodes that look for better noise give."""

from __future__ import annotations

from typing import NamedTuple

from ..types import Figure, Noise, Table


class Optimised(NamedTuple):
    """The noise that a reward likes best, how the best reward grew, and what each picture took."""

    noise: Noise
    figure: Figure
    table: Table
