"""The jobs that ended lately, in bounded memory: the history keeps them all."""

from __future__ import annotations

import zlib
from collections import OrderedDict

from .wire import Job, JobDetail

KEPT = 100
KEPT_BYTES = 32 << 20


class Archive:
    """The last 100 jobs, and the details of as many of them as fit, packed, into some megabytes."""

    def __init__(self, count: int = KEPT, max_bytes: int = KEPT_BYTES) -> None:
        self._count, self._max_bytes = count, max_bytes
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._details: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    def put(self, detail: JobDetail) -> None:
        self._jobs[detail.id] = Job(**{name: getattr(detail, name) for name in Job.model_fields})
        packed = zlib.compress(detail.model_dump_json().encode(), 1)
        self._details[detail.id] = packed
        self._bytes += len(packed)
        while len(self._jobs) > self._count:
            gone, _ = self._jobs.popitem(last=False)
            self._bytes -= len(self._details.pop(gone, b""))
        while self._bytes > self._max_bytes:
            _, packed = self._details.popitem(last=False)
            self._bytes -= len(packed)

    def newest_first(self) -> list[Job]:
        return list(reversed(self._jobs.values()))

    def job(self, id_: str) -> Job:
        """Raises `KeyError`."""
        return self._jobs[id_]

    def detail(self, id_: str) -> JobDetail:
        """Raises `KeyError`, also for one that is here without its details."""
        return JobDetail.model_validate_json(zlib.decompress(self._details[id_]))
