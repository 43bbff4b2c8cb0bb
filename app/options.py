"""What commands of the command line have in common: their options, and how they end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn

import typer

File = Annotated[
    str,
    typer.Argument(
        help="A workflow file or an exported script, the name of one that ships, or a PNG picture made by one.",
        metavar="FILE",
    ),
]
Set = Annotated[list[str] | None, typer.Option("--set", help="A setting to change.", metavar="NODE.SETTING=VALUE")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]
Inputs = Annotated[
    list[Path] | None, typer.Option("--input", help="A folder to read pictures from; may be repeated.", metavar="DIR")
]
Models = Annotated[
    list[Path] | None, typer.Option("--models", help="A folder of models; may be repeated.", metavar="DIR")
]
MACHINE = "Machine"
OTHERS = "Serving others"
Dtype = Annotated[str, typer.Option(help="auto, float32, float16 or bfloat16.", rich_help_panel=MACHINE)]
Memory = Annotated[
    str | None,
    typer.Option(help="How much memory models may fill: 6GB, 512MB.", rich_help_panel=MACHINE, metavar="SIZE"),
]
Attention = Annotated[str, typer.Option(help="A backend of diffusers, or auto.", rich_help_panel=MACHINE)]
Offload = Annotated[str, typer.Option(help="none, model, group or sequential.", rich_help_panel=MACHINE)]
Compile = Annotated[
    bool, typer.Option("--compile", help="Compile the denoiser with torch.compile.", rich_help_panel=MACHINE)
]


def end(work: Callable[[], int], as_json: bool) -> NoReturn:
    """Leave with the code `work` gives, or 2 after the problems it was refused for."""
    from ..graph.problems import Refused

    try:
        code = work()
    except Refused as refused:
        from . import show

        if as_json:
            show.document({"ok": False, "problems": show.plain(refused.problems)})
        else:
            show.problems("This cannot be done:", refused.problems)
        code = 2
    raise typer.Exit(code)
