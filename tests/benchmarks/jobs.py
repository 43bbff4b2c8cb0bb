"""What the queue costs: from an event in the worker to a subscriber, jobs a second, and memory over many jobs.

    python tests/benchmarks/jobs.py --jobs 1000

The workflow is trivial (three nodes without models), so that everything measured is the queue's own.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from arithmetic import workflow
from jobs_world import MODULES

from latentloom.app.jobs.places import Places
from latentloom.app.jobs.queue import Queue, Submission
from latentloom.app.jobs.wire import NodeMessage

TRIVIAL = workflow({"a": "number", "b": "double", "see": "show"}, "a.number -> b.number", "b.even -> see.text")


def latencies(queue: Queue, steps: int) -> list[float]:
    """Seconds from a step's report in the worker, which labels it with the time, to the subscriber."""
    found = []

    def listen(message: object) -> None:
        if isinstance(message, NodeMessage) and message.state.status == "running" and message.state.label:
            found.append(time.monotonic() - float(message.state.label))

    leave = queue.subscribe(listen)
    given = workflow({"it": ("clock", {"count": steps, "seconds": 0.05})})
    queue.wait(queue.submit(Submission(given)).id, 600)
    leave()
    return found


def resident() -> int:
    """Bytes this process, the server's, has in memory."""
    gc.collect()
    return psutil.Process().memory_info().rss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=200)
    given = parser.parse_args()
    table = Table("what", "value")
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        queue = Queue(Places({}, here / "output", here / "previews"), ["cpu"], None, modules=MODULES, package="")
        began = time.monotonic()
        queue.start()
        queue.wait(queue.submit(Submission(TRIVIAL)).id, 60)
        table.add_row("first job of a new worker", f"{time.monotonic() - began:.2f} s")
        found = latencies(queue, given.steps)
        table.add_row("event to subscriber, median", f"{1000 * statistics.median(found):.2f} ms")
        table.add_row("event to subscriber, 95 %", f"{1000 * statistics.quantiles(found, n=20)[-1]:.2f} ms")
        memory = []
        began = time.monotonic()
        for _ in range(10):
            jobs = [queue.submit(Submission(TRIVIAL)) for _ in range(given.jobs // 10)]
            queue.wait(jobs[-1].id, 600)
            memory.append(resident())
        seconds = time.monotonic() - began
        table.add_row("jobs a second", f"{given.jobs / seconds:.0f}")
        for index in (0, 4, 9):
            label = f"memory of the server after {(index + 1) * given.jobs // 10} jobs"
            table.add_row(label, f"{memory[index] / 2**20:.1f} MiB")
        queue.close()
    Console().print(table)


if __name__ == "__main__":
    main()
