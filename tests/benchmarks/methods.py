"""What each method that ships gains beside the limit of what it computes: on small trained models and on full sizes.

    python tests/benchmarks/methods.py shapes-unet shapes-dit sd15 [--methods deepcache taylorseer] [--settings 1]
        [--steps 25] [--pictures 1] [--rounds 5] [--side 32] [--out methods.csv]

`sd15`, `sdxl` and `flux` are the published architectures with random weights, made anew unless `--models` has them; on
a GPU in its half precision. The latents have the given `side`, else that of a picture of the usual size. All settings
of a model run by turns in one process, and the medians of the rounds count. The limit is how many times fewer
floating-point operations a method needs; what it cannot do on a model is left out, with the reason.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import full_size
import shipped_methods
import torch
from rich.console import Console
from rich.table import Table
from shipped_methods import Offered

from latentloom.graph.node import NodeError
from latentloom.nodes.evaluate.comparing import Row
from latentloom.nodes.evaluate.measuring import Bench, shares
from latentloom.nodes.evaluate.quality import Judge
from latentloom.nodes.models import runtime
from latentloom.nodes.types import Method, Noise

COLUMNS = ("method", "seconds", "speed-up", "limit", "of the limit", "calls", "GFLOPs", "memory MB")

console = Console()


def offers(model: str, options: argparse.Namespace, folder: Path) -> Iterator[Offered]:
    """What each workflow measures, with `model` in place of its own; says what cannot be had."""
    settings = {"model.source": model, "schedule.steps": options.steps}
    settings |= {"prompts.count": options.pictures, "canvas.batch": options.pictures}
    for name in options.methods or shipped_methods.names():
        try:
            yield shipped_methods.read(name, settings, [folder])
        except RuntimeError as error:
            console.print(f"{name}: {error}", style="dim")


def middle(methods: Sequence[Method], count: int) -> Sequence[Method]:
    """`count` of the settings, those in the middle; all for 0."""
    first = max(0, len(methods) - count) // 2 if count else 0
    return methods[first : first + (count or len(methods))]


def runs(offered: Offered, method: Method, noise: Noise) -> bool:
    """Whether `method` goes with the model; says why not."""
    try:
        work = next(shares(noise, offered.positive, offered.negative, 1))
        Bench([work], 1, 1).draw([replace(method, schedule=replace(method.schedule, steps=2))])
    except NodeError as error:
        console.print(f"{method.name}: {error}", style="dim")
        return False
    return True


def measured(model: str, options: argparse.Namespace, folder: Path) -> list[dict[str, object]]:
    """A row for each setting of each method."""
    several = list(offers(model, options, folder))
    if not several:
        return []
    first = several[0]
    _, channels, height, width = first.noise.samples.shape
    if model in full_size.FULL_SIZES:
        channels, height, width = full_size.FULL_SIZES[model].latent
    height, width = (options.side or height), (options.side or width)
    samples = torch.randn(options.pictures, channels, height, width, generator=torch.Generator().manual_seed(0))
    noise = Noise(samples, tuple(range(options.pictures)))
    methods = {"plain": first.methods[0]}
    for offered in several:
        chosen = middle(offered.methods[1:], options.settings)
        methods |= {each.name: each for each in chosen if runs(offered, each, noise)}
    work = next(shares(noise, first.positive, first.negative, 0))
    found = Bench([work], options.rounds, 1).measure(list(methods.values()))
    judge = Judge(found[0].image.pixels, None, None)
    rows = [Row(each, judge.look(each.image.pixels), found[0]).cells for each in found]
    return [{"model": model, **{name: row[name] for name in COLUMNS}} for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="+", help="shapes-unet, shapes-dit, sd15, sdxl or flux")
    parser.add_argument("--methods", nargs="*", help="workflows of workflows/methods; all where none is named")
    parser.add_argument("--settings", type=int, default=0, help="of each method, those in the middle; 0: all")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--pictures", type=int, default=1, help="made together")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", type=int, default=0, help="of the latent; 0: as usual for the model")
    parser.add_argument("--models", type=Path, help="folder to find full sizes in, and to keep them")
    parser.add_argument("--out", type=Path, help="CSV file for all rows")
    options = parser.parse_args()
    placed = runtime.place(runtime.settings)
    every: list[dict[str, object]] = []
    with ExitStack() as stack:
        folder = options.models or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for model in options.model:
            if model in full_size.FULL_SIZES and not (folder / model).exists():
                half = torch.bfloat16 if placed.device.type == "cuda" else torch.float16
                full_size.save(model, folder / model, placed.device.type, half)
            rows = measured(model, options, folder)
            every += rows
            shown = Table(title=f"{model}, {options.steps} steps, {options.pictures} pictures")
            for column in COLUMNS:
                shown.add_column(column, justify="left" if column == "method" else "right")
            for row in rows:
                shown.add_row(*("" if row[name] is None else str(row[name]) for name in COLUMNS))
            console.print(shown)
    console.print(" · ".join(f"{name} {value}" for name, value in placed.facts().items()))
    if options.out:
        with options.out.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["model", *COLUMNS])
            writer.writeheader()
            writer.writerows(every)


if __name__ == "__main__":
    main()
