"""What rewards share: a prompt for each picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from ...graph.node import NodeError

T = TypeVar("T")


def for_each(prompts: Sequence[T], pictures: int) -> list[T]:
    """As many as there are `pictures`, of one for all or one for each. Raises `NodeError` for other numbers."""
    if len(prompts) not in (1, pictures):
        raise NodeError(f"There are {len(prompts)} prompts for {pictures} pictures; give one, or one for each.")
    return list(prompts) if len(prompts) == pictures else list(prompts) * pictures
