"""How long the history takes with many runs in it: `python tests/benchmarks/history.py [RUNS]` prints milliseconds.

Each run has the shipped workflow for text to image with a prompt of its own, and the states of its nodes.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from latentloom.app.folders import SHIPPED
from latentloom.app.jobs.wire import JobDetail, NodeState, Picture
from latentloom.app.workspace.workspace import Workspace

COLOURS = ("red", "orange", "lime", "green", "cyan", "blue", "navy", "purple", "pink", "brown", "black", "white")
THINGS = ("circle", "square", "triangle", "cross", "ring", "lighthouse", "harbour", "forest", "river", "castle", "owl")
STYLES = ("oil", "watercolour", "charcoal", "photograph", "engraving", "fresco", "pastel", "collage")


def prompt(chance: random.Random) -> str:
    """About 60 words, as prompts of larger models have."""
    parts = (f"a {chance.choice(COLOURS)} {chance.choice(THINGS)}, {chance.choice(STYLES)}" for _ in range(15))
    return ", ".join(parts)


def jobs(count: int) -> Iterator[JobDetail]:
    chance = random.Random(0)
    text = (SHIPPED / "text_to_image.json").read_text("utf-8")
    for number in range(count):
        content = json.loads(text)
        content["nodes"]["prompt"]["settings"]["text"] = prompt(chance) + (", zebra" if number == count // 2 else "")
        content["nodes"]["noise"]["settings"]["seed"] = number
        picture = Picture(name="image", url=f"/api/previews/{number:032x}.webp", width=256, height=256)
        states = {id_: NodeState(status="done", seconds=0.1) for id_ in content["nodes"]}
        states["picture"] = NodeState(status="done", outputs=(picture,))
        begun = 1.7e9 + number
        yield JobDetail(
            id=f"{number:08x}",
            name=content["name"],
            status="done",
            submitted=begun,
            started=begun,
            ended=begun + 1,
            workflow=content,
            nodes=states,
        )


def milliseconds(work: Callable[[], object], times: int = 9) -> float:
    """The median of several runs."""
    spent = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        spent.append(time.perf_counter() - begun)
    return 1000 * statistics.median(spent)


@contextmanager
def timed(said: str, count: int = 1) -> Iterator[None]:
    begun = time.perf_counter()
    yield
    print(f"{said:42} {1000 * (time.perf_counter() - begun) / count:9.2f}")


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        with timed("record a run, each", count):
            for job in jobs(count):
                workspace.history.ended(job, {"torch": "2"}, [f"{job.id}.png"])
        workspace.close()
        with timed("open the workspace"):
            workspace = Workspace(Path(folder))
        history = workspace.history
        asked = {
            "the newest page": lambda: history.search(),
            "a page in the middle": lambda: history.search(before=1.7e9 + count / 2),
            "a common word": lambda: history.search("circle"),
            "three common words": lambda: history.search("red owl fresco"),
            "a word of one run": lambda: history.search("zebra"),
            "a word of no run": lambda: history.search("giraffe"),
            "one run": lambda: history.get(f"{count // 2:08x}"),
            "compare two runs": lambda: history.compare(f"{0:08x}", f"{count // 2:08x}"),
        }
        for said, work in asked.items():
            print(f"{said:42} {milliseconds(work):9.2f}")
        size = (Path(folder) / ".latentloom/history.sqlite").stat().st_size
        print(f"{'kB on disk, each run':42} {size / count / 1000:9.2f}")
        workspace.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
