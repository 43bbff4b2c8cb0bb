"""A node that leaves a trace of each time it runs, and costs nothing."""

from __future__ import annotations

from typing import Any

from latentloom.graph.files import Files
from latentloom.graph.node import effect

MODULES = {"tally": "tally"}
FILE = "tally.txt"


@effect
def tally(number: int, files: Files) -> None:
    """Adds its number to a file."""
    with files.target(FILE).open("a") as file:
        file.write(f"{number}\n")


def content(number: int) -> dict[str, Any]:
    """A workflow that runs it once."""
    nodes = {"it": {"type": "tally", "settings": {"number": number}}}
    return {"format": 1, "name": f"Tally {number}", "nodes": nodes, "wires": []}
