"""Keep what was measured."""

from __future__ import annotations

import csv
import io
from typing import Annotated

from pydantic import Field

from ...graph.atomic import write
from ...graph.files import Files, Writes
from ...graph.node import effect
from ...graph.progress import QUIET, Progress
from ..types import Table


@effect
def save_table(
    table: Table,
    name: Annotated[
        str, Writes(), Field(min_length=1, max_length=500, description="file name without its ending")
    ] = "table",
    progress: Progress = QUIET,
    *,
    files: Files,
) -> None:
    """Write a table as a CSV file (UTF-8, with a header) in the output folder; one of that name is replaced whole."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    path = files.target(f"{name}.csv")
    write(path, text.getvalue().encode())
    progress.note(files=[str(path)])
