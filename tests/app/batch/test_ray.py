"""A batch on a cluster of two nodes, started on this machine, of which one is lost in mid-run."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import batches as world
import pytest

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]

_STORE = 80 << 20


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    ray = pytest.importorskip("ray")
    utilities = pytest.importorskip("ray.cluster_utils")
    monkeypatch.setenv("PYTHONPATH", str(Path(world.__file__).parent))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    head = {"num_cpus": 1, "object_store_memory": _STORE, "include_dashboard": False}
    cluster = utilities.Cluster(initialize_head=True, head_node_args=head)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def test_a_node_that_is_lost_costs_no_row(cluster, tmp_path):
    second = cluster.add_node(num_cpus=1, object_store_memory=_STORE)
    rows = 60
    asked = replace(
        world.request(tmp_path, rows, world={"ripen": {"seconds": 0.3}}, at_once=2),
        engine="ray",
        address=cluster.address,
    )

    def lose() -> None:
        path = asked.out / "results.jsonl"
        while not path.exists() or len(path.read_text().splitlines()) < 12:
            time.sleep(0.1)
        cluster.remove_node(second, allow_graceful=False)

    losing = threading.Thread(target=lose)
    losing.start()
    assert world.run(asked) == 0
    losing.join()
    assert world.faults(asked, rows) == []
    assert {line["tries"] for line in world.lines(asked)} == {1}
