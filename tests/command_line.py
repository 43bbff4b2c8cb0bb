"""The command line called in this process, and asked never to print a traceback."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from latentloom.app.main import application

Cli = Callable[..., Result]


def in_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Calls the command line in `folder`, on a wide terminal, with nothing set in the environment."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("LATENTLOOM_MODELS", raising=False)

    def call(*arguments: str | os.PathLike[str]) -> Result:
        result = CliRunner().invoke(application, [str(argument) for argument in arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "Traceback" not in result.output
        return result

    return call
