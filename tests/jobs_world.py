"""Nodes for tests of jobs, by module: quick ones, slow ones, and ones that take their worker with them. No PyTorch."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from latentloom.app.jobs.reports import Ready
from latentloom.graph.node import NodeError, effect
from latentloom.graph.progress import QUIET, Progress
from latentloom.graph.workflow import Workflow

ARITHMETIC = ["number", "double", "halve", "add", "divide", "spell", "join", "count", "read", "show", "write"]
OWN = ["steps", "clock", "crash", "note", "fail", "stubborn", "process"]
MODULES: Any = dict.fromkeys(ARITHMETIC, "arithmetic") | dict.fromkeys(OWN, "jobs_world")


@effect
def steps(count: int = 10, seconds: float = 0.01, progress: Progress = QUIET) -> str:
    """Takes its time, step by step."""
    for step in range(count):
        time.sleep(seconds)
        progress.step(step + 1, count, "stepping")
    return f"{count} steps"


@effect
def clock(count: int = 10, seconds: float = 0.05, progress: Progress = QUIET) -> None:
    """Tells at each step when that was, by the clock that all processes share."""
    for step in range(count):
        time.sleep(seconds)
        progress.step(step + 1, count, str(time.monotonic()))


@effect
def crash(way: str = "kill") -> None:
    """Takes its worker with it."""
    if way == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if way == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if way == "exit":
        sys.exit(3)
    if way == "at once":
        os._exit(4)
    raise SystemExit("text")


class _Odd:
    """Cannot be pickled, compared or shown."""

    def __reduce__(self) -> Any:
        raise TypeError("never")

    def __str__(self) -> str:
        raise ValueError("no")


class OddError(Exception):
    def __init__(self) -> None:
        super().__init__(_Odd())

    def __str__(self) -> str:
        raise ValueError("no words")


@effect
def note(progress: Progress = QUIET) -> None:
    """Notes what no other process can read."""
    progress.note(odd=_Odd(), function=note, nested={"list": [1, float("nan"), {2}]}, text="\ud800", files=[])


@effect
def fail(way: str = "node") -> None:
    """Fails, the way that is asked for."""
    if way == "node":
        raise NodeError("This cannot be: choose another.")
    if way == "memory":
        raise MemoryError
    if way == "odd":
        raise OddError
    raise RuntimeError("a fault")


@effect
def stubborn(seconds: float = 30.0) -> None:
    """Looks at no progress while it sleeps."""
    time.sleep(seconds)


@effect
def process() -> str:
    """The id of the process that runs it, and what it has open."""
    held = sorted(str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
    return f"{os.getpid()} {[name for name in held if name.startswith('socket')]}"


def single(kind: str, **settings: Any) -> Workflow:
    """A workflow of one node."""
    return Workflow.of({"format": 1, "name": kind, "nodes": {"it": {"type": kind, "settings": settings}}, "wires": []})


def dies_when_it_is_ready(connection: Any, setup: Any) -> None:
    """A worker's work. It lies here, where a new process finds it too."""
    connection.send(Ready())
    time.sleep(0.1)
