"""The folders jobs read and write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...graph.files import Files


@dataclass(frozen=True)
class Places:
    """`reading` by kind, searched in order; `output` for what nodes save; `previews` for pictures the page shows."""

    reading: Mapping[str, Sequence[Path]]
    output: Path
    previews: Path

    @property
    def files(self) -> Files:
        """What a run may read and write."""
        return Files(self.reading, writing=self.output)
