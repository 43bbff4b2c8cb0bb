"""What each method that ships gains and costs, on the small trained models: makes `workflows/methods/RESULTS.md`.

    python tests/benchmarks/results.py [--count 500] [--count-on shapes-dit=100] [--timed 10] [--rounds 3]
        [--processes 2] [--kept out/results]

Every setting in the workflows of `workflows/methods` draws the same `count` held-out prompts, which takes hours; what
is drawn is kept, so that a run that was stopped goes on where it was. Then all settings of a model are timed by turns
on `timed` pictures, in one process: leave the machine alone meanwhile. Last the plain runs are drawn that take as long.
The first pictures of each method are its workflow's picture in the template gallery.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import shipped_methods
import torch
from PIL import Image as Pillow
from rich.console import Console
from shipped_methods import Offered

from latentloom.app.folders import SHIPPED
from latentloom.app.workspace.draw_templates import small
from latentloom.app.workspace.templates import PICTURES
from latentloom.graph.store import versions
from latentloom.nodes.codec import TensorCodec
from latentloom.nodes.evaluate.comparing import Row, figure, sheet, table
from latentloom.nodes.evaluate.draw_figure import draw_figure
from latentloom.nodes.evaluate.measuring import Bench, as_long, lasting, plain, shares
from latentloom.nodes.evaluate.quality import Judge, Quality
from latentloom.nodes.types import Image, Measured, Method, Prompts, Table

SHOWN = 4
"""Pictures of each method in its workflow's picture."""

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


def read(name: str, options: argparse.Namespace) -> Offered:
    """What the workflow `name` measures, with as many prompts as are asked for on its model."""
    count = options.count_on.get(shipped_methods.model_of(name), options.count)
    return shipped_methods.read(name, {"prompts.count": count, "canvas.batch": count})


def draw(task: Task, kept: Path) -> str:
    """Draw `task` unless that was done; runs in a process of its own."""
    torch.set_num_threads(1)
    offered = shipped_methods.read(task.name, {"prompts.count": task.count, "canvas.batch": task.count})
    place = task.place(offered, kept)
    method = task.of(offered)
    if not place.exists():
        work = list(shares(offered.noise, offered.positive, offered.negative, AT_ONCE))
        [drawn] = Bench(work, rounds=1, warm_up=1).draw([method])
        part = place.with_suffix(".part")
        part.write_bytes(TensorCodec().encode(drawn))
        part.replace(place)
    return method.name


def missing(several: Iterable[tuple[Offered, Sequence[Task]]], kept: Path) -> list[Task]:
    """The tasks of each workflow that are not drawn yet, equal ones once."""
    places = {task.place(offered, kept): task for offered, tasks in several for task in tasks}
    return [task for place, task in places.items() if not place.exists()]


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
    rivals = [
        [Task(offered.name, 0, as_long(measured[0], each.seconds), offered.count) for each in measured[1:]]
        for offered, measured in zip(several, times, strict=True)
    ]
    draw_all(missing(zip(several, rivals, strict=True), options.kept), options.kept, options.processes)
    shown: list[Row] = []
    for offered, measured, equals in zip(several, times, rivals, strict=True):
        rows = rows_of(offered, measured, equals, options.kept)
        yield from ("", f"### {offered.title}", "", f"[{offered.name}.json]({offered.name}.json)", "")
        yield from markdown(table(rows))
        show(sheet(rows, SHOWN), options.into / PICTURES / "methods" / f"{offered.name}.webp")
        if _told(offered.methods[0]) == _told(several[0].methods[0]):
            shown += rows
    show(
        draw_figure(figure(shown, "attributes right"), 1000, 700), options.into / PICTURES / "results" / f"{model}.webp"
    )


def rows_of(offered: Offered, times: Sequence[Measured], equals: Sequence[Task], folder: Path) -> list[Row]:
    """The plain run, and each method with the plain run of `equals` below it, unless that stands higher up."""
    base = Task(offered.name, 0, None, offered.count)
    origin = kept(base, offered, folder, times[0])

    def row(task: Task, time: Measured, rival: Row | None = None) -> Row:
        quality = look(task.place(offered, folder), base.place(offered, folder), offered.prompts)
        return Row(kept(task, offered, folder, time), quality, origin, rival)

    rows = [row(base, origin)]
    for index, (time, equal) in enumerate(zip(times[1:], equals, strict=True), 1):
        seconds = lasting(origin, equal.of(offered).schedule.steps)
        same = equal.place(offered, folder) == base.place(offered, folder)
        rival = rows[0] if same else row(equal, replace(origin, seconds=seconds))
        rows.append(row(replace(base, index=index), time, rival))
        if rival.measured.name not in {every.measured.name for every in rows}:
            rows.append(rival)
    return rows


def kept(task: Task, offered: Offered, folder: Path, time: Measured) -> Measured:
    """What was drawn for `task`, with the `time` it took to draw some of it."""
    drawn = TensorCodec().decode(task.place(offered, folder).read_bytes())
    report = replace(drawn.report, seconds=time.report.seconds, total_seconds=time.seconds)
    return replace(drawn, name=task.of(offered).name, report=report, seconds=time.seconds, plain=task.index == 0)


@cache
def look(place: Path, base: Path, prompts: Prompts) -> Quality:
    """How good the pictures kept at `place` are beside those at `base`."""
    drawn, reference = (TensorCodec().decode(each.read_bytes()).image.pixels for each in (place, base))
    return Judge(reference, prompts, None).look(drawn)


def show(image: Image, place: Path) -> None:
    """Keep a picture, as small as those of the template gallery are."""
    drawn = Pillow.fromarray((image.pixels[0].permute(1, 2, 0) * 255).round().byte().numpy())
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(small(drawn))


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500, help="prompts")
    parser.add_argument("--count-on", nargs="*", default=[], metavar="MODEL=COUNT", help="prompts on a model")
    parser.add_argument("--timed", type=int, default=10, help="pictures that are timed together")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--kept", type=Path, default=Path("out/results"), help="folder of what is drawn")
    parser.add_argument("--methods", nargs="*", help="workflows; all where none is named")
    parser.add_argument("--into", type=Path, default=SHIPPED, help="folder to make methods and pictures in")
    parser.add_argument("--only-draw", action="store_true", help="time nothing yet, and write no page")
    options = parser.parse_args()
    options.kept.mkdir(parents=True, exist_ok=True)
    fewer = f" --count-on {' '.join(options.count_on)}" if options.count_on else ""
    options.command = f"--count {options.count}{fewer} --timed {options.timed} --rounds {options.rounds}"
    options.count_on = {model: int(count) for model, count in (each.split("=") for each in options.count_on)}
    offered = [read(name, options) for name in options.methods or shipped_methods.names()]
    every = [[Task(each.name, index, None, each.count) for index in range(len(each.methods))] for each in offered]
    draw_all(missing(zip(offered, every, strict=True), options.kept), options.kept, options.processes)
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
            f"{chosen[0].count} prompts. ![speed against quality](../pictures/results/{model}.webp)",
            *part,
        ]
    page = options.into / "methods" / "RESULTS.md"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n".join(lines) + "\n", "utf-8")


def machine() -> str:
    cores = os.cpu_count()
    return f"{platform.machine()} with {cores} cores, PyTorch {version('torch')}, diffusers {version('diffusers')}"


INTRODUCTION = """# Methods, measured

Made by `python tests/benchmarks/results.py {command}` on {machine}, one thread, float32. Each row is
the same held-out prompts of the world of shapes on the same noise. Speed is the median of {rounds} rounds by turns of
{timed} pictures together.

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
