"""A queue with a worker of quick nodes, shared by the tests of a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import jobs_world
import pytest

from latentloom.app.jobs.places import Places
from latentloom.app.jobs.queue import Queue, Submission
from latentloom.app.jobs.wire import JobDetail

MakeQueue = Callable[..., Queue]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Places:
    folder = tmp_path_factory.mktemp("workspace")
    return Places({"input": [folder / "input"]}, folder / "output", folder / "previews")


@pytest.fixture
def make_queue(tmp_path: Path) -> Iterator[MakeQueue]:
    """Queues of their own, closed when the test ends."""
    made = []

    def make(devices: tuple[str, ...] = ("cpu",), start: bool = True, **options) -> Queue:
        own = Places({"input": [tmp_path]}, tmp_path / "output", tmp_path / "previews")
        queue = Queue(own, devices, None, **{"modules": jobs_world.MODULES, "package": "", **options})
        made.append(queue)
        if start:
            queue.start()
        return queue

    yield make
    for queue in made:
        queue.close()


@pytest.fixture(scope="module")
def queue(places: Places) -> Iterator[Queue]:
    made = Queue(places, ("cpu",), None, modules=jobs_world.MODULES, package="")
    made.start()
    yield made
    made.close()


@pytest.fixture
def run(queue: Queue) -> Callable[..., JobDetail]:
    """Runs a workflow of one node to its end."""

    def run(kind: str, **settings) -> JobDetail:
        return queue.detail(queue.wait(queue.submit(Submission(jobs_world.single(kind, **settings))).id, 30).id)

    return run
