"""What a server bears: many listeners, a long queue, and a thousand jobs one after another.

`python tests/benchmarks/server.py [--clients 32] [--jobs 200] [--runs 1000]`

The server runs in a process of its own, with one worker and a node that costs nothing. First the clients submit the
jobs between them and hear of each over a WebSocket; the latency is from when the server noted that a job ended to when
a client has the message. Then the latency of one client whose jobs come singly, and the memory of the server's process
(resident, without its worker) as the runs go by.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psutil
from rich.console import Console
from rich.table import Table
from websockets.asyncio.client import connect

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import crowd
import tally


async def singly(url: str, runs: int, process: psutil.Process) -> tuple[list[float], list[tuple[int, float]]]:
    """Latencies in seconds of jobs that each wait for the one before, and (runs so far, MiB)."""
    memory = []
    ear = crowd.Ear()
    async with httpx.AsyncClient(base_url=url, timeout=60) as http, connect(f"ws{url[4:]}/api/events") as socket:
        await socket.send(json.dumps({"type": "hello", "client": "single", "watch": None, "file": None}))
        await socket.recv()
        for number in range(runs + 1):
            if number % max(1, runs // 10) == 0:
                memory.append((number, process.memory_info().rss / 2**20))
            if number < runs:
                answer = await http.post("/api/jobs", json={"workflow": tally.content(number)})
                while answer.json()["id"] not in ear.ended:
                    ear.hear(await socket.recv())
    return ear.latencies, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--runs", type=int, default=1000)
    asked = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as folder, crowd.server(Path(folder)) as (url, process):
        began = time.monotonic()
        ears, order = asyncio.run(crowd.listen(url, asked.clients, asked.jobs))
        seconds = time.monotonic() - began
        ran = crowd.tallied(Path(folder))
        latencies = [latency for ear in ears for latency in ear.latencies]
        table = Table("", f"{asked.clients} clients, {asked.jobs} jobs", box=None)
        table.add_row(
            "lost", str(len(set(order.values()) - set(ran)) + sum(len(order) - len(ear.ended) for ear in ears))
        )
        table.add_row("twice", str(len(ran) - len(set(ran))))
        table.add_row("in order", str(ran == list(order.values())))
        table.add_row("seconds in all", f"{seconds:.1f}")
        table.add_row("MB heard by a client", f"{statistics.mean(ear.bytes for ear in ears) / 1e6:.1f}")
        table.add_row("latency ms, median", f"{statistics.median(latencies) * 1000:.1f}")
        table.add_row("latency ms, 95 %", f"{statistics.quantiles(latencies, n=20)[-1] * 1000:.1f}")
        console.print(table)
        latencies, memory = asyncio.run(singly(url, asked.runs, process))
    table = Table("", "one client, jobs one by one", box=None)
    table.add_row("latency ms, median", f"{statistics.median(latencies) * 1000:.1f}")
    table.add_row("latency ms, 95 %", f"{statistics.quantiles(latencies, n=20)[-1] * 1000:.1f}")
    console.print(table)
    table = Table("runs", "server, MiB", box=None)
    for runs, mebibytes in memory:
        table.add_row(str(runs), f"{mebibytes:.1f}")
    console.print(table)


if __name__ == "__main__":
    main()
