"""How many rows go together grows while it pays, and shrinks when memory runs out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from latentloom.app.batch import sizes
from latentloom.graph.call import Made


def made(count: int, seconds: float, memory: int | None = None) -> list[Made]:
    """So many made together, in so many seconds each."""
    value: Any = SimpleNamespace(report=SimpleNamespace(memory=memory))
    return [Made(value, seconds)] * count


def test_it_doubles_while_rows_become_quicker():
    growing = sizes.Growing()
    seen = []
    for seconds in (1.0, 0.6, 0.4, 0.4, 0.41):
        seen.append(growing.most("kind"))
        growing.made("kind", made(seen[-1], seconds))
    assert seen == [1, 2, 4, 8, 8]
    assert growing.most("other") == 1


def test_fewer_than_there_is_room_for_teach_nothing():
    growing = sizes.Growing()
    growing.made("kind", made(1, 1.0))
    growing.made("kind", made(1, 0.1))
    assert growing.most("kind") == 2


def test_it_stays_below_what_was_asked_for_and_what_pays_on_a_cpu():
    for limit, most in ((3, 2), (None, sizes.MOST_ON_CPU)):
        growing = sizes.Growing(limit)
        for step in range(10):
            growing.made("kind", made(growing.most("kind"), 0.5**step))
        assert growing.most("kind") == most


def test_memory_that_runs_out_halves_for_good():
    growing = sizes.Growing()
    for step in range(3):
        growing.made("kind", made(growing.most("kind"), 0.5**step))
    assert growing.failed("kind", 8, MemoryError())
    assert growing.most("kind") == 4
    growing.made("kind", made(4, 0.001))
    assert growing.most("kind") == 4
    assert not growing.failed("kind", 4, ValueError("another fault"))
    assert growing.most("kind") == 4


def test_it_does_not_double_into_memory_that_is_not_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sizes.runtime, "free_memory", lambda device: 1000)
    growing = sizes.Growing()
    growing.made("kind", made(1, 1.0, memory=300))
    assert growing.most("kind") == 2
    growing.made("kind", made(2, 0.5, memory=600))
    assert growing.most("kind") == 2
