"""What a search has tried, kept line by line, so that a search that was stopped goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from .evolution import Candidate


class Journal:
    """The fitness of lists tried before, one a line of the file at `path`; `problem` tells apart what was searched."""

    def __init__(self, path: Path, problem: str) -> None:
        self._path, self._problem = path, problem
        self._known: dict[Candidate, float] = {}
        text = path.read_text("utf-8") if path.exists() else ""
        self._begin = "\n" if text and not text.endswith("\n") else ""  # a line that was being written when it stopped
        for line in text.splitlines():
            try:
                entry = json.loads(line)
                if entry["of"] == problem:
                    self._known[tuple(entry["timesteps"])] = float(entry["fitness"])
            except (ValueError, KeyError, TypeError):
                continue

    def remember(self, candidate: Candidate, measure: Callable[[Candidate], float]) -> float:
        """The fitness noted for `candidate`, or measured now and noted."""
        if candidate not in self._known:
            found = self._known[candidate] = measure(candidate)
            line = json.dumps({"of": self._problem, "timesteps": candidate, "fitness": found})
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{self._begin}{line}\n")
            self._begin = ""
        return self._known[candidate]
