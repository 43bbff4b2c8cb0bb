"""Nodes for tests of batches, by module: one that goes together with others, one that writes, one that takes its worker
with it. No PyTorch."""

from __future__ import annotations

import os
import signal
import time
from typing import Annotated, Any

from arithmetic import Number
from pydantic import Field

from latentloom.graph.atomic import write_new
from latentloom.graph.files import Files, Writes
from latentloom.graph.node import NodeError, Together, effect, node
from latentloom.graph.progress import QUIET, Progress

MODULES: Any = dict.fromkeys(["number", "add"], "arithmetic") | dict.fromkeys(
    ["ripen", "keep", "poison"], "batch_world"
)


def _ripened(calls: Any) -> list[Number]:
    time.sleep(max(call["seconds"] for call in calls))
    for call in calls:
        call["progress"].stop_if_cancelled()
    return [call["number"] for call in calls]


@node(together=Together(lambda given: given["seconds"], _ripened))
def ripen(number: Number, seconds: float = 0.0, progress: Progress = QUIET) -> Number:
    """Takes as long for several as for one."""
    return _ripened([{"number": number, "seconds": seconds, "progress": progress}])[0]


@node
def poison(
    number: Number, kills: tuple[int, ...] = (), fails: tuple[int, ...] = (), faults: tuple[int, ...] = ()
) -> Number:
    """Kills its worker, fails, or meets what nobody foresaw, at some numbers."""
    if number.value in kills:
        os.kill(os.getpid(), signal.SIGKILL)
    if number.value in fails:
        raise NodeError(f"{number.value} is no good.")
    if number.value in faults:
        raise RuntimeError(f"a fault at {number.value}")
    return number


@effect
def keep(
    number: Number,
    name: Annotated[str, Writes(), Field(min_length=1)] = "kept.txt",
    copies: int = 2,
    full: bool = False,
    progress: Progress = QUIET,
    *,
    files: Files,
) -> None:
    """Writes files of some size that tell the number; a disk may be full."""
    if full:
        raise NodeError(f"{name} could not be written: {os.strerror(28)}.")
    written = []
    for copy in range(copies):
        target = files.target(f"{copy}_{name}")
        write_new(target, content(number.value))
        written.append(str(target))
    progress.note(files=written)


def content(value: int) -> bytes:
    """What a file of the number `value` holds."""
    return f"{value}\n".encode() * 2000 + b"end\n"
