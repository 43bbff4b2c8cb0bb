"""`latentloom`: what can be typed on the command line.

Only this file is imported for `--help`; each command imports what it does when it is called.
"""

from __future__ import annotations

import importlib.metadata
import io
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from .batch.line import batch
from .options import MACHINE, OTHERS, Attention, Compile, Dtype, File, Inputs, Json, Memory, Models, Offload, Set, end

application = typer.Typer(
    name="latentloom",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(importlib.metadata.version("latentloom"))
        raise typer.Exit


@application.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Node workflows for diffusion models."""


@application.command()
def run(
    file: File,
    settings: Set = None,
    out: Annotated[Path, typer.Option(help="The folder results are written to.", metavar="DIR")] = Path("out"),
    goals: Annotated[
        list[str] | None, typer.Option("--goal", help="Run only what this node needs; may be repeated.", metavar="NODE")
    ] = None,
    inputs: Inputs = None,
    models: Models = None,
    cache: Annotated[
        Path | None, typer.Option(help="Keep results here, and reuse those of earlier runs.", metavar="DIR")
    ] = None,
    as_json: Json = False,
    traceback: Annotated[bool, typer.Option("--traceback", help="Show where an unexpected error arose.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, mps, cuda or cuda:N.", rich_help_panel=MACHINE)] = "auto",
    dtype: Dtype = "auto",
    memory: Memory = None,
    attention: Attention = "auto",
    offload: Offload = "none",
    compile: Compile = False,  # noqa: A002
) -> None:
    """Run a workflow and write what it makes to the output folder.

    Exit codes: 0 all is well, 1 a node failed, 2 the workflow or the arguments are wrong, 130 interrupted.
    """

    def work() -> int:
        from .machine import settings_of
        from .run import Request, run_file

        machine = settings_of(device, dtype, memory, attention, offload, compile)
        return run_file(
            Request(
                file, settings or (), out, goals or (), inputs or (), models or (), cache, as_json, traceback, machine
            )
        )

    end(work, as_json)


@application.command()
def check(
    file: File, settings: Set = None, inputs: Inputs = None, models: Models = None, as_json: Json = False
) -> None:
    """Tell everything that is wrong with a workflow, without running it."""

    def work() -> int:
        from .check import check_file

        return check_file(file, settings or (), inputs or (), models or (), as_json)

    end(work, as_json)


@application.command()
def nodes(
    name: Annotated[str | None, typer.Argument(help="One node, shown in full.", metavar="NAME")] = None,
    as_json: Json = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown instead.")] = False,
) -> None:
    """Show the nodes there are: ports, settings, papers."""

    def work() -> int:
        from .nodes import print_nodes

        return print_nodes(name, as_json, as_markdown)

    end(work, as_json)


@application.command()
def export(
    file: File,
    target: Annotated[Path, typer.Argument(help="The script to write.", metavar="SCRIPT.py")],
    out: Annotated[Path, typer.Option(help="The folder the script writes to.", metavar="DIR")] = Path("out"),
    inputs: Inputs = None,
    models: Models = None,
) -> None:
    """Write a workflow as a Python script, which runs by itself and is read back by every command that takes a FILE."""

    def work() -> int:
        from .export import export_file

        return export_file(file, target, inputs or (), models or (), out)

    end(work, False)


@application.command()
def verify(
    file: File,
    write: Annotated[bool, typer.Option("--write", help="Write into a workflow file which pixels it gives.")] = False,
    inputs: Inputs = None,
    models: Models = None,
    as_json: Json = False,
    device: Annotated[str, typer.Option(help="auto, cpu, mps, cuda or cuda:N.", rich_help_panel=MACHINE)] = "auto",
    dtype: Dtype = "auto",
    memory: Memory = None,
    attention: Attention = "auto",
    offload: Offload = "none",
    compile: Compile = False,  # noqa: A002
) -> None:
    """Run a locked workflow or a saved PNG again, and tell whether the same pixels come out, and if not, what differs.

    Exit codes: 0 the same, 1 others, 2 it cannot be run or says nothing of pixels.
    """

    def work() -> int:
        from .machine import settings_of
        from .verify import Request, verify_file

        machine = settings_of(device, dtype, memory, attention, offload, compile)
        return verify_file(Request(file, inputs or (), models or (), machine, write, as_json))

    end(work, as_json)


@application.command("models")
def list_models(models: Models = None, as_json: Json = False) -> None:
    """Show the models that are here, and where they are looked for."""

    def work() -> int:
        from .models import print_models

        return print_models(models or (), as_json)

    end(work, as_json)


@application.command()
def edit(
    file: Annotated[
        str | None, typer.Argument(help="A workflow to open: a file, a shipped one's name, or a PNG.", metavar="FILE")
    ] = None,
    workspace: Annotated[
        Path,
        typer.Option(
            help="The folder that holds all you make; made when it is not there.",
            metavar="DIR",
            envvar="LATENTLOOM_WORKSPACE",
        ),
    ] = Path("~/latentloom"),
    port: Annotated[
        int | None,
        typer.Option(help="The port to serve; if not given, the first free one from 7801 on.", min=1, max=65535),
    ] = None,
    models: Models = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")] = False,
    listen: Annotated[
        bool,
        typer.Option("--listen", help="Serve other machines too; needs a secret.", rich_help_panel=OTHERS),
    ] = False,
    address: Annotated[
        str | None,
        typer.Option(help="Serve on this address of the machine only; means --listen.", rich_help_panel=OTHERS),
    ] = None,
    host_name: Annotated[
        list[str] | None,
        typer.Option(
            help="A name the server may be called by, as behind a proxy; may be repeated.",
            rich_help_panel=OTHERS,
            metavar="NAME",
        ),
    ] = None,
    password: Annotated[
        str | None,
        typer.Option(
            help="What is asked for in the browser. On the command line others of this machine can read it.",
            rich_help_panel=OTHERS,
            envvar="LATENTLOOM_PASSWORD",
        ),
    ] = None,
    password_file: Annotated[
        Path | None, typer.Option(help="A file with the password.", rich_help_panel=OTHERS, metavar="FILE")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(help="What programs send as bearer token.", rich_help_panel=OTHERS, envvar="LATENTLOOM_TOKEN"),
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="A file with the token.", rich_help_panel=OTHERS, metavar="FILE")
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option(
            help="auto (if not given), cpu, mps, cuda or cuda:N; one worker each when repeated.",
            rich_help_panel=MACHINE,
        ),
    ] = None,
    dtype: Dtype = "auto",
    memory: Memory = None,
    attention: Attention = "auto",
    offload: Offload = "none",
    compile: Compile = False,  # noqa: A002
) -> None:
    """Build, run, watch and share workflows in the browser.

    Serves this machine alone unless told otherwise. Ctrl+C ends it.
    """

    def work() -> int:
        from .edit import Request, secret_of
        from .edit import edit as serve
        from .machine import settings_of

        devices = device or ["auto"]
        return serve(
            Request(
                file=file,
                workspace=workspace,
                address=address or ("0.0.0.0" if listen else None),
                port=port,
                hosts=host_name or (),
                password=secret_of(password, password_file, "--password"),
                token=secret_of(token, token_file, "--token"),
                machines=[settings_of(each, dtype, memory, attention, offload, compile) for each in devices],
                models=models or (),
                browser=not no_browser,
            )
        )

    end(work, False)


application.command()(batch)


def main() -> None:
    """The console script. An error nobody foresaw is a sentence too, unless more was asked for."""
    # PyTorch's threads spin while they wait, which on a machine with other work to do makes a step of a small model a
    # hundred times slower. Read when PyTorch is first imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # for terminals that have not all letters
    try:
        application()
    except Exception as error:
        if "--traceback" in sys.argv or os.environ.get("LATENTLOOM_TRACEBACK"):
            raise
        print(f"latentloom failed unexpectedly: {type(error).__name__}: {error}", file=sys.stderr)
        print("This is a fault of latentloom; LATENTLOOM_TRACEBACK=1 shows where.", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
