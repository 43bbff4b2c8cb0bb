"""Does a batch lose nothing? Its processes are killed at random moments, and it is resumed until it is done.

`python tests/benchmarks/batch_faults.py [--rows 300] [--kills 40] [--workers 2] [--seconds 0.2] [--seed 0]`

Each time one of three is killed by signal 9: the command alone, one of its workers, or all at once. At the end each row
must be there once, each file whole, and nothing else in the folder. Needs no model; takes some minutes.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1]))

import batches  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.2, help="that rows which go together take")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    chance, began = random.Random(given.seed), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        asked = batches.request(Path(folder), given.rows)
        command = [sys.executable, batches.__file__, folder, given.rows, given.seconds, given.workers]
        killed: Counter[str] = Counter()
        started = 0
        while True:
            batch = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL)
            started += 1
            while killed.total() < given.kills and batch.poll() is None:
                if chance.random() < 0.75:
                    wait_for_rows(batch, asked.out / "results.jsonl", chance.randint(1, 6))
                    time.sleep(chance.uniform(0.0, 0.3))
                else:  # perhaps before it is ready
                    time.sleep(chance.uniform(0.0, 3.0))
                if what := kill(batch, chance.choice(("command", "worker", "all"))):
                    killed[what] += 1
                if what in ("command", "all"):
                    break
            code = batch.wait()
            if code == 0:
                break
            if code > 0:
                raise SystemExit(f"The batch ended with exit code {code}.")
        found = batches.faults(asked, given.rows)
        tried = Counter(line["tries"] for line in batches.lines(asked))
    seconds = time.monotonic() - began
    print(
        f"{given.rows} rows, {started} commands, killed: {dict(killed)}, tries of rows: {dict(tried)}, {seconds:.0f} s"
    )
    if killed.total() < given.kills:
        print(f"The batch was done after {killed.total()} of {given.kills} kills: give it more --rows or --seconds.")
    if found:
        raise SystemExit("\n".join(found))
    print("Each row is there once, each file is whole, and nothing else is left.")


def wait_for_rows(batch: subprocess.Popen[bytes], results: Path, more: int) -> None:
    """Until so many more rows have ended."""
    before = None
    while batch.poll() is None:
        ended = results.read_bytes().count(b"\n") if results.exists() else 0
        before = ended if before is None else min(before, ended)  # the table is written anew at the start
        if ended >= before + more:
            return
        time.sleep(0.02)


def kill(batch: subprocess.Popen[bytes], what: str) -> str:
    """What was killed; nothing where it has just ended."""
    try:
        process = psutil.Process(batch.pid)
        workers = [child for child in process.children() if "spawn_main" in " ".join(child.cmdline())]
        if what == "worker":
            if not workers:
                return ""
            workers[0].kill()
        else:
            process.kill()
            for worker in workers if what == "all" else ():
                worker.kill()
    except psutil.NoSuchProcess:
        return ""
    return what


if __name__ == "__main__":
    main()
