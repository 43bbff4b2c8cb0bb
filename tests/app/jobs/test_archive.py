"""Ended jobs in bounded memory."""

import pytest

from latentloom.app.jobs.archive import Archive
from latentloom.app.jobs.wire import Job, JobDetail, NodeState


def detail(number: int, text: str = "") -> JobDetail:
    return JobDetail(
        id=str(number),
        name=f"job {number}",
        status="done",
        submitted=0.0,
        workflow={"format": 1, "text": text},
        nodes={"n": NodeState(status="done", facts={"number": number})},
    )


def test_the_last_jobs_are_kept_newest_first_with_their_details():
    archive = Archive(count=3)
    for number in range(5):
        archive.put(detail(number))
    assert [job.id for job in archive.newest_first()] == ["4", "3", "2"]
    assert archive.detail("3") == detail(3) and type(archive.job("3")) is Job and archive.job("3").name == "job 3"
    for gone in ("0", "nothing"):
        with pytest.raises(KeyError):
            archive.detail(gone)
        with pytest.raises(KeyError):
            archive.job(gone)


def test_details_are_dropped_where_they_grow_too_large():
    import random

    noise = random.Random(0)
    archive = Archive(count=100, max_bytes=60_000)
    for number in range(10):
        archive.put(detail(number, noise.randbytes(10_000).hex()))
    assert len(archive.newest_first()) == 10
    assert archive.detail("9").id == "9"
    with pytest.raises(KeyError):
        archive.detail("0")
    archive.put(detail(10, noise.randbytes(100_000).hex()))  # larger than all there is room for
    assert archive.job("10").id == "10"
    with pytest.raises(KeyError):
        archive.detail("10")
