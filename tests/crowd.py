"""A server in a process of its own, and many who listen to it at once. Also its program: `python crowd.py FOLDER`."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import tally
from websockets.asyncio.client import ClientConnection, connect

ENDED = ("done", "failed", "cancelled")


@dataclass
class Ear:
    """What one client heard: of each job when it started and ended, and how long the news took, in seconds."""

    started: dict[str, set[float]] = field(default_factory=lambda: defaultdict(set))
    ended: dict[str, set[tuple[str, float]]] = field(default_factory=lambda: defaultdict(set))
    latencies: list[float] = field(default_factory=list)
    bytes: int = 0
    since: float = field(default_factory=time.time)

    def hear(self, text: str | bytes) -> None:
        now = time.time()
        self.bytes += len(text)
        message = json.loads(text)
        for job in [message["job"]] if message["type"] == "job" else message.get("jobs", []):
            self._note(job, now)

    def _note(self, job: dict[str, Any], now: float) -> None:
        if job["started"] is not None:
            self.started[job["id"]].add(job["started"])
        if job["status"] in ENDED:
            if job["id"] not in self.ended and job["ended"] > self.since:
                self.latencies.append(now - job["ended"])
            self.ended[job["id"]].add((job["status"], job["ended"]))


@contextmanager
def server(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A server of the workspace in `folder` whose only node is `tally`: its address and its process."""
    command = [sys.executable, str(Path(__file__).resolve()), str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip(), psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


async def listen(url: str, clients: int, jobs: int) -> tuple[list[Ear], dict[str, int]]:
    """`clients` listen while they submit `jobs` between them, which run once all of them wait.

    Gives what each heard, and the jobs in the order of the queue, with their numbers.
    """
    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        sockets = [await connect(f"ws{url[4:]}/api/events", max_size=None) for _ in range(clients)]
        ears = [Ear() for _ in sockets]
        for number, each in enumerate(sockets):
            await each.send(json.dumps({"type": "hello", "client": f"client{number}", "watch": None, "file": None}))
        hearing = [asyncio.create_task(_hear(each, ear, jobs)) for each, ear in zip(sockets, ears, strict=True)]
        await http.post("/api/queue", json={"paused": True})
        for first in range(0, jobs, clients):
            numbers = range(first, min(first + clients, jobs))
            await asyncio.gather(
                *(http.post("/api/jobs", json={"workflow": tally.content(number)}) for number in numbers)
            )
        waiting = [job for job in (await http.get("/api/jobs")).json()["jobs"] if job["status"] == "queued"]
        await http.post("/api/queue", json={"paused": False})
        async with asyncio.timeout(240):
            await asyncio.gather(*hearing)
        for each in sockets:
            await each.close()
        return ears, {job["id"]: int(job["name"].split()[-1]) for job in waiting}


async def _hear(connection: ClientConnection, ear: Ear, jobs: int) -> None:
    while len(ear.ended) < jobs:
        ear.hear(await connection.recv())


def tallied(folder: Path) -> list[int]:
    """The numbers, in the order they were run."""
    return [int(line) for line in (folder / "output" / tally.FILE).read_text().split()]


def serve(folder: Path) -> None:
    from contextlib import closing

    from latentloom.app.edit import run_server
    from latentloom.app.jobs.queue import Queue
    from latentloom.app.server.access import Access
    from latentloom.app.server.address import listen as listen_at
    from latentloom.app.server.address import url_of
    from latentloom.app.server.application import create_app
    from latentloom.app.workspace.workspace import Workspace

    with (
        closing(Workspace(folder)) as workspace,
        closing(
            Queue(workspace.places, ["cpu"], None, recorder=workspace.history, modules=tally.MODULES, package="")
        ) as queue,
        listen_at("127.0.0.1", None) as listening,
    ):
        app = create_app(workspace, queue, access=Access(), page=False)

        def ready() -> None:
            queue.start()
            print(url_of(listening), flush=True)

        run_server(app, listening, ready)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
