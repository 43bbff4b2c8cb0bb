"""The command line in an empty folder, and in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli, in_folder

Spawn = Callable[..., subprocess.Popen[Any]]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Calls the command line in an empty folder."""
    return in_folder(tmp_path, monkeypatch)


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Spawn]:
    """Starts Python code in a process of its own, in an empty folder; it lives no longer than the test."""
    started: list[subprocess.Popen[Any]] = []

    def start(code: str, *arguments: str | os.PathLike[str], **options: Any) -> subprocess.Popen[Any]:
        environment = {**os.environ, "COLUMNS": "200", "TERM": "xterm"}
        command = [sys.executable, "-c", code, *map(str, arguments)]
        started.append(subprocess.Popen(command, cwd=tmp_path, env=environment, **options))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()
