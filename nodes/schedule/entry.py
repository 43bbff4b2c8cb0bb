"""What a sampler's name stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Entry:
    """A scheduler class of diffusers, its `fixed` configuration, the `options` of its steps with their defaults."""

    scheduler: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, float] = field(default_factory=dict)
