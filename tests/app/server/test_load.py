"""Many at once: no job is lost, none runs twice, all in order, and everybody hears of each."""

import asyncio
import statistics

import crowd

CLIENTS, JOBS = 32, 200


def test_many_clients_and_a_long_queue(tmp_path):
    with crowd.server(tmp_path) as (url, _):
        ears, order = asyncio.run(crowd.listen(url, CLIENTS, JOBS))
    assert sorted(order.values()) == list(range(JOBS))
    assert crowd.tallied(tmp_path) == list(order.values())  # none lost, none twice, in the order of the queue
    for ear in ears:
        assert set(ear.ended) == set(order)
        assert all(len(ends) == 1 and next(iter(ends))[0] == "done" for ends in ear.ended.values())
        assert all(len(starts) == 1 for starts in ear.started.values())
        assert sorted(order, key=lambda id_: min(ear.started[id_])) == list(order)
    assert statistics.median(latency for ear in ears for latency in ear.latencies) < 1  # also where much else runs
