"""Where a batch on very many workers would break first: a simulation with the costs measured here.

`python tests/benchmarks/batch_scale.py [--workers 1000] [--rows 10000000] [--seconds 1.0] [--together 16] [--cost 0.4]
    [--commit 5] [--hours 24] [--held 128]`

Every worker makes `together` rows at once, each taking `seconds`, and reports them. One command hears all reports, at
`cost` milliseconds a row, and writes down what has arrived, at `commit` milliseconds a group. A worker is lost every
`hours` on average, with what it had not reported, and is back after two minutes. A worker that holds no rows waits.
"""

from __future__ import annotations

import argparse
import heapq
import random

BACK_SECONDS = 120.0


def simulate(
    workers: int, rows: int, seconds: float, together: int, cost: float, commit: float, hours: float, held: int
) -> tuple[float, float, int]:
    """Seconds in all, the share of them in which the command was busy, and rows made twice as a worker was lost."""
    chance = random.Random(0)
    step = seconds * together
    risk = step / (3600 * hours)
    events = [(chance.uniform(0, step), worker) for worker in range(workers)]
    heapq.heapify(events)
    free = busy = now = 0.0  # until when the command is busy, and for how long it was
    done = again = 0
    depth = max(1, held // together)  # micro-batches a worker can make before it hears of new rows
    heard = [[0.0] * depth for _ in range(workers)]
    place = [0] * workers
    while done < rows:
        now, worker = heapq.heappop(events)
        if chance.random() < risk:
            again += together
            heapq.heappush(events, (now + BACK_SECONDS + step, worker))
            continue
        done += together
        waiting = free > now  # what arrives while the command works joins the next group
        work = together * cost / 1000 + (0.0 if waiting else commit / 1000)
        free = max(free, now) + work
        busy += work
        # Rows of the micro-batch after the next `depth` are sent when this report was heard.
        ready = heard[worker][place[worker]]
        heard[worker][place[worker]] = free
        place[worker] = (place[worker] + 1) % depth
        heapq.heappush(events, (max(now, ready) + step, worker))
    return max(now, free), busy / max(now, free), again


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--seconds", type=float, default=1.0, help="a worker takes for a row")
    parser.add_argument("--together", type=int, default=16)
    parser.add_argument("--cost", type=float, default=0.4, help="milliseconds of the command a row")
    parser.add_argument("--commit", type=float, default=5.0, help="milliseconds a group")
    parser.add_argument("--hours", type=float, default=24.0, help="between two losses of one worker")
    parser.add_argument("--held", type=int, default=128, help="rows a worker holds")
    given = parser.parse_args()
    print("workers  seconds a row  hours  ideal  of ideal  command busy  rows lost")
    for workers in sorted({given.workers // 10, given.workers // 3, given.workers, 3 * given.workers}):
        options = (given.rows, given.seconds, given.together, given.cost, given.commit, given.hours, given.held)
        total, busy, again = simulate(workers, *options)
        ideal = given.rows * given.seconds / workers
        row = f"{workers:7d}  {given.seconds:13.2f}  {total / 3600:5.2f}  {ideal / 3600:5.2f}"
        print(f"{row}  {ideal / total:8.0%}  {busy:12.0%}  {again:9d}")


if __name__ == "__main__":
    main()
