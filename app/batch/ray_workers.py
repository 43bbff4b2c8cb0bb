"""Workers of a batch on a Ray cluster (https://docs.ray.io): actors that hold warm models, each on its own GPU or share
of the CPUs. All that is known of Ray is in this file.

An actor is a worker as a process of this machine is: it hears the same messages and gives the same reports. One that is
lost with its node is started anew wherever there is room, and its loss counts against no row.
"""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ...graph.problems import Problem, Refused
from .crew import NODE_LOST
from .reports import Finished, Setup

_PATIENCE = 10.0
"""Seconds an actor waits for something to report, and one that was asked to end has for that."""


def setups(setup: Setup, address: str | None, workers: int) -> dict[str, Setup]:
    """One for each actor there is room for: one for each GPU, or where there is none, `workers` for each node.

    Connects to the cluster at `address`, to the one this machine is a part of, or to a new one of this machine alone.
    Raises `Refused`.
    """
    ray = _ray()
    try:
        ray.init(address=address, ignore_reinit_error=True, log_to_driver=False, logging_level="ERROR")
    except Exception as error:  # whatever it raises where there is no cluster
        raise Refused([Problem(f"No Ray cluster at {address or 'this machine'}: {error}")]) from None
    resources = ray.cluster_resources()
    gpus = int(resources.get("GPU", 0))
    nodes = [node for node in ray.nodes() if node["Alive"]]
    count = gpus or workers * len(nodes)
    share = {"num_gpus": 1} if gpus else {"num_cpus": resources.get("CPU", 1) / count}
    threads = None if gpus else max(1, int(share["num_cpus"]))
    return {f"actor {place + 1}": replace(setup, threads=threads, resources=share) for place in range(count)}


class RayWorker:
    """One actor. `hear` is called with each report and `died` with a code, both in this worker's own thread."""

    tells_all = False  # what it has to report when it dies is lost with it

    def __init__(
        self,
        setup: Setup,
        hear: Callable[[RayWorker, Any], None],
        died: Callable[[RayWorker, int], None],
        name: str,
    ) -> None:
        self._ray, self._hear, self._died = _ray(), hear, died
        self._over = threading.Event()
        options: Mapping[str, Any] = {**setup.resources, "max_concurrency": 3, "scheduling_strategy": "SPREAD"}
        self._actor = self._ray.remote(_Actor).options(**options).remote(setup)
        threading.Thread(target=self._listen, name=name, daemon=True).start()

    def send(self, message: Any) -> None:
        """Returns at once; what is sent to an actor that died is lost."""
        self._actor.send.remote(message)

    def kill(self) -> None:
        """End the actor now, whatever it does; `died` is told."""
        self._ray.kill(self._actor)

    def join(self) -> None:
        """Wait until the actor that was told to finish has ended, and end it where it does not."""
        if not self._over.wait(_PATIENCE):
            self.kill()
            self._over.wait(_PATIENCE)

    def _listen(self) -> None:
        code = 1
        try:
            while True:
                for report in self._ray.get(self._actor.reports.remote()):
                    self._hear(self, report)
                    if isinstance(report, Finished):
                        self.kill()
        except self._ray.exceptions.RayActorError as error:
            code = NODE_LOST if "node has died" in str(error) or getattr(error, "preempted", False) else -signal.SIGKILL
        except self._ray.exceptions.RayError:
            pass
        self._died(self, code)
        self._over.set()


class _Actor:
    """The worker of `worker.py`, spoken to through two queues in place of a pipe."""

    def __init__(self, setup: Setup) -> None:
        from .worker import serve

        self._incoming: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._outgoing: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=serve, args=(_Ends(self._incoming.get, self._outgoing.put), setup), daemon=True).start()

    def send(self, message: Any) -> None:
        self._incoming.put(message)

    def reports(self) -> list[Any]:
        """What there is to report; waits for the first a while."""
        found = []
        with suppress(queue.Empty):
            found.append(self._outgoing.get(timeout=_PATIENCE))
            while True:
                found.append(self._outgoing.get_nowait())
        return found


class _Ends:
    """The two ends of queues as the connection a worker speaks through."""

    def __init__(self, recv: Callable[[], Any], send: Callable[[Any], None]) -> None:
        self.recv, self.send = recv, send


def _ray() -> Any:
    try:
        import ray  # pyright: ignore[reportMissingImports]
        import ray.exceptions  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        raise Refused([Problem("--engine ray needs Ray: pip install 'latentloom[ray]'.")]) from None
    return ray
