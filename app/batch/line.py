"""The options of `latentloom batch`. Like `main.py`, it imports what it does when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..options import MACHINE, Attention, Compile, Dtype, File, Inputs, Json, Memory, Models, Offload, end

_ROWS = "Rows"
_AGAIN = "Going on"

Engine = Literal["local", "ray"]


def batch(
    file: File,
    rows: Annotated[
        Path | None, typer.Option(help="A table: .csv, .jsonl or .parquet.", metavar="TABLE", rich_help_panel=_ROWS)
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="A setting for all rows, or with @ the column of the table it comes from.",
            metavar="NODE.SETTING=VALUE|@COLUMN",
            rich_help_panel=_ROWS,
        ),
    ] = None,
    zips: Annotated[
        list[str] | None,
        typer.Option(
            "--zip",
            help='A value for each row in turn: noise.seed=0..99, prompt.text=\'["a", "b"]\'.',
            metavar="NODE.SETTING=VALUES",
            rich_help_panel=_ROWS,
        ),
    ] = None,
    products: Annotated[
        list[str] | None,
        typer.Option(
            "--product",
            help="Every row with each of these: guidance.scale=3,5,7.",
            metavar="NODE.SETTING=VALUES",
            rich_help_panel=_ROWS,
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="The folder of the batch: files, results, journal, sheet.", metavar="DIR")
    ] = Path("batch"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the batch in --out.", rich_help_panel=_AGAIN)
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Resume, and run failed rows again.", rich_help_panel=_AGAIN)
    ] = False,
    limit: Annotated[
        int | None, typer.Option(help="Run at most so many rows now.", min=1, rich_help_panel=_ROWS)
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(help="Only part i of n, as for one of n machines.", metavar="i/n", rich_help_panel=_ROWS),
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Run the rows that can run.", rich_help_panel=_ROWS)
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check and show the rows, and run nothing.", rich_help_panel=_ROWS)
    ] = False,
    goals: Annotated[
        list[str] | None, typer.Option("--goal", help="Run only what this node needs; may be repeated.", metavar="NODE")
    ] = None,
    inputs: Inputs = None,
    models: Models = None,
    as_json: Json = False,
    device: Annotated[
        list[str] | None,
        typer.Option(help="auto (if not given), cpu, mps, cuda or cuda:N; may be repeated.", rich_help_panel=MACHINE),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(help="Processes on each device, each with its own models.", min=1, rich_help_panel=MACHINE),
    ] = 1,
    at_once: Annotated[
        int | None,
        typer.Option(help="Rows denoised together at most; else by speed and memory.", min=1, rich_help_panel=MACHINE),
    ] = None,
    engine: Annotated[
        Engine, typer.Option(help="Where workers run: this machine, or a Ray cluster.", rich_help_panel=MACHINE)
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(help="The Ray cluster: auto, HOST:PORT or ray://HOST:PORT.", rich_help_panel=MACHINE),
    ] = None,
    dtype: Dtype = "auto",
    memory: Memory = None,
    attention: Attention = "auto",
    offload: Offload = "none",
    compile: Compile = False,  # noqa: A002
) -> None:
    """Run a workflow over many rows of settings. Whatever happens, nothing that ended is lost or made twice.

    Exit codes: 0 all rows are done, 1 some are not, 2 rows, workflow or arguments are wrong, 130 interrupted.
    """

    def work() -> int:
        from ..machine import settings_of
        from .command import Request, run_batch

        return run_batch(
            Request(
                file=file,
                rows=rows,
                settings=settings or (),
                zips=zips or (),
                products=products or (),
                out=out,
                machines=[settings_of(d, dtype, memory, attention, offload, compile) for d in device or ["auto"]],
                goals=goals or (),
                inputs=inputs or (),
                models=models or (),
                resume=resume or retry_failed,
                retry_failed=retry_failed,
                limit=limit,
                shard=shard,
                skip_bad=skip_bad,
                dry_run=dry_run,
                workers=workers,
                at_once=at_once,
                as_json=as_json,
                engine=engine,
                address=address,
            )
        )

    end(work, as_json)
