"""The command line in this process, and a workflow that needs no model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli, in_folder
from PIL import Image as Pillow


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Calls the command line in an empty folder."""
    return in_folder(tmp_path, monkeypatch)


@pytest.fixture
def document() -> dict[str, Any]:
    """A red picture, resized and saved."""
    return {
        "format": 1,
        "name": "Twice",
        "nodes": {
            "load": {"type": "load_image", "settings": {"path": "red.png"}},
            "big": {"type": "resize", "settings": {"width": 40, "height": 20}},
            "save": {"type": "save_image", "settings": {}},
        },
        "wires": [["load.image", "big.image"], ["big.image", "save.image"]],
    }


@pytest.fixture
def workflow(tmp_path: Path, document: dict[str, Any]) -> Path:
    """The workflow as a file, with the picture it reads in the folder `input` beside it."""
    (tmp_path / "input").mkdir()
    Pillow.new("RGB", (20, 10), "red").save(tmp_path / "input/red.png")
    path = tmp_path / "twice.json"
    path.write_text(json.dumps(document))
    return path
