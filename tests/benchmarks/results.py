"""What each method that ships gains and costs, on the small trained models: makes `workflows/methods/RESULTS.md`.

`python tests/benchmarks/results.py [--count 500] [--timed 10] [--rounds 3] [--processes 2] [--kept out/results]`

Every setting in the workflows of `workflows/methods` draws the same `count` held-out prompts, which takes hours; what
is drawn is kept, so that a run that was stopped goes on where it was. Then all settings of a model are timed by turns
on `timed` pictures, in one process: leave the machine alone meanwhile. Last the plain runs are drawn that take as long.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import shipped_methods
import torch
from PIL import Image as Pillow
from rich.console import Console
from shipped_methods import FOLDER, Offered

from latentloom.app.folders import SHIPPED
from latentloom.graph.store import versions
from latentloom.nodes.codec import TensorCodec
from latentloom.nodes.evaluate.comparing import Row, figure, table
from latentloom.nodes.evaluate.draw_figure import draw_figure
from latentloom.nodes.evaluate.measuring import Bench, as_long, plain, shares
from latentloom.nodes.evaluate.quality import Judge
from latentloom.nodes.types import Measured, Method, Table

PAGE = FOLDER / "RESULTS.md"
FIGURES = SHIPPED / "pictures" / "methods"
AT_ONCE = 50
LEFT_OUT = ("attributes right", "GFLOPs", "memory MB", "seconds", "plain of equal time")
"""Columns that make the page too wide, or stand elsewhere on it."""

console = Console(stderr=True)


@dataclass(frozen=True)
class Task:
    """One setting to draw: method number `index` of the workflow `name`, or its plain method with so many `steps`."""

    name: str
    index: int
    steps: int | None
    count: int

    def of(self, offered: Offered) -> Method:
        """The method itself."""
        return offered.methods[self.index] if self.steps is None else plain(offered.methods[0], self.steps)

    def place(self, offered: Offered, kept: Path) -> Path:
        """Where what is drawn is kept: by all that makes the pictures but the code of the methods."""
        digest = hashlib.sha256(f"{_told(self.of(offered))} {self.count} {versions()}".encode()).hexdigest()[:16]
        return kept / f"{offered.model}_{digest}.safetensors"


def read(name: str, count: int) -> Offered:
    return shipped_methods.read(name, {"prompts.count": count, "canvas.batch": count})


def draw(task: Task, kept: Path) -> str:
    """Draw `task` unless that was done; runs in a process of its own."""
    torch.set_num_threads(1)
    offered = read(task.name, task.count)
    place = task.place(offered, kept)
    method = task.of(offered)
    if not place.exists():
        work = list(shares(offered.noise, offered.positive, offered.negative, AT_ONCE))
        [drawn] = Bench(work, rounds=1, warm_up=1).draw([method])
        part = place.with_suffix(".part")
        part.write_bytes(TensorCodec().encode(drawn))
        part.replace(place)
    return method.name


def draw_all(tasks: Sequence[Task], kept: Path, processes: int) -> None:
    """Draw what is missing of `tasks`, and say how far it is."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for done, name in enumerate(pool.map(partial(draw, kept=kept), tasks), 1):
            console.print(f"{done}/{len(tasks)} {name}")


def timed(several: Sequence[Offered], rounds: int, pictures: int) -> list[tuple[Measured, ...]]:
    """Each method's time for the first `pictures`, by turns with all others of its model."""
    first = several[0]
    work = next(shares(first.noise, first.positive, first.negative, pictures))
    different: dict[str, Method] = {}
    for offered in several:
        for method in offered.methods:
            different.setdefault(_told(method), method)
    bench = Bench([work], rounds, warm_up=1)
    found = dict(zip(different, bench.measure(list(different.values())), strict=True))
    return [tuple(found[_told(method)] for method in offered.methods) for offered in several]


def page_of(model: str, several: Sequence[Offered], options: argparse.Namespace) -> Iterator[str]:
    """The part of the page on one model, line by line; draws the plain runs it needs."""
    console.print(f"timing {model}")
    times = timed(several, options.rounds, options.timed)
    tasks = {
        (offered.name, each.name): Task(offered.name, 0, as_long(measured[0], each.seconds), options.count)
        for offered, measured in zip(several, times, strict=True)
        for each in measured[1:]
    }
    draw_all(list(dict.fromkeys(replace(task, name=several[0].name) for task in tasks.values())), options.kept, 1)
    base = _kept(Task(several[0].name, 0, None, options.count), several[0], options.kept)
    judge = Judge(base.image.pixels, several[0].prompts, None)
    look: dict[Path, Any] = {}

    def row(task: Task, offered: Offered, seconds: Measured, rival: Row | None = None) -> Row:
        place = task.place(offered, options.kept)
        drawn = _kept(task, offered, options.kept)
        if place not in look:
            look[place] = judge.look(drawn.image.pixels)
        report = replace(drawn.report, seconds=seconds.report.seconds, total_seconds=seconds.seconds)
        return Row(
            replace(drawn, report=report, seconds=seconds.seconds, plain=task.index == 0), look[place], origin, rival
        )

    origin = replace(base, seconds=times[0][0].seconds)
    everything = [row(Task(several[0].name, 0, None, options.count), several[0], times[0][0])]
    for offered, measured in zip(several, times, strict=True):
        yield from ("", f"### {offered.title}", "", f"[{offered.name}.json]({offered.name}.json)", "")
        rows = []
        for index, each in enumerate(measured[1:], 1):
            task = tasks[offered.name, each.name]
            assert task.steps is not None
            share = measured[0].seconds * task.steps / measured[0].report.steps
            rival = row(task, offered, replace(measured[0], seconds=share))
            rows += [row(Task(offered.name, index, None, options.count), offered, each, rival), rival]
        known = dict.fromkeys(each.measured.name for each in rows)
        rows = [next(each for each in rows if each.measured.name == name) for name in known]
        everything += rows
        yield from markdown(table([everything[0], *rows]))
    FIGURES.mkdir(parents=True, exist_ok=True)
    pixels = draw_figure(figure(everything, "attributes right"), 1000, 700).pixels[0]
    drawn = Pillow.fromarray((pixels.permute(1, 2, 0) * 255).round().byte().numpy())
    drawn.save(FIGURES / f"results_{model}.webp", quality=80)


def markdown(made: Table) -> Iterator[str]:
    """A table, without the columns left out."""
    columns = [place for place, name in enumerate(made.columns) if name not in LEFT_OUT]
    yield "| " + " | ".join(made.columns[place] for place in columns) + " |"
    yield "|---" + "|--:" * (len(columns) - 1) + "|"
    for cells in made.rows:
        yield "| " + " | ".join("" if cells[place] is None else str(cells[place]) for place in columns) + " |"


def _told(method: Method) -> str:
    """What tells methods apart, wherever the models lie; tensors in a guidance by what they hold."""
    model = replace(method.model, source=Path(method.model.source).name)
    return hashlib.sha256(TensorCodec().encode(replace(method, name="", group="", model=model))).hexdigest()


def _kept(task: Task, offered: Offered, kept: Path) -> Measured:
    return replace(TensorCodec().decode(task.place(offered, kept).read_bytes()), name=task.of(offered).name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500, help="prompts")
    parser.add_argument("--timed", type=int, default=10, help="pictures that are timed together")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--kept", type=Path, default=Path("out/results"), help="folder of what is drawn")
    parser.add_argument("--methods", nargs="*", help="workflows; all where none is named")
    parser.add_argument("--only-draw", action="store_true", help="time nothing yet, and write no page")
    options = parser.parse_args()
    options.kept.mkdir(parents=True, exist_ok=True)
    offered = [read(name, options.count) for name in options.methods or shipped_methods.names()]
    tasks = [Task(each.name, index, None, options.count) for each in offered for index in range(len(each.methods))]
    by_place = {task.place(each, options.kept): task for each in offered for task in tasks if task.name == each.name}
    draw_all([task for place, task in by_place.items() if not place.exists()], options.kept, options.processes)
    if options.only_draw:
        return
    lines = [INTRODUCTION.format(**vars(options), machine=machine())]
    for model in dict.fromkeys(each.model for each in offered):
        chosen = [each for each in offered if each.model == model]
        part = list(page_of(model, chosen, options))
        lines += [
            "",
            f"## On {model}",
            "",
            f"![speed against quality](../pictures/methods/results_{model}.webp)",
            *part,
        ]
    PAGE.write_text("\n".join(lines) + "\n", "utf-8")


def machine() -> str:
    cores = os.cpu_count()
    return f"{platform.machine()} with {cores} cores, PyTorch {version('torch')}, diffusers {version('diffusers')}"


INTRODUCTION = """# Methods, measured

Made by `python tests/benchmarks/results.py --count {count} --timed {timed} --rounds {rounds}` on {machine}, one thread,
float32. Each row is {count} held-out prompts of the world of shapes on the same noise. Speed is the median of {rounds}
rounds by turns of {timed} pictures together.

- **limit**: how many times fewer floating-point operations (matrix products, convolutions, attention) the method needs;
  **of the limit** is the share of that which the clock shows.
- **calls**: network calls for a picture, each branch by itself.
- **PSNR**, **SSIM**, **drift**: how far the pictures are from the plain run's; drift is seen by a small network that
  knows shapes. That is no loss by itself.
- **all right**: pictures that show everything their prompt asks for, read by the rules they are drawn by.
- **beats plain**: against the plain run with as many steps as take the same time, which stands in the row below it:
  `yes` or `no` where the difference is more than two standard errors, in what is right or else in drift."""


if __name__ == "__main__":
    main()
