"""Few reports of many events, and nothing in the way of the run."""

from __future__ import annotations

import time

import pytest
import torch

from latentloom.app.jobs import teller as module
from latentloom.app.jobs.places import Places
from latentloom.app.jobs.reports import NodeEnded, Noted, Shown, Started, Stepped
from latentloom.app.jobs.teller import Teller
from latentloom.graph import events
from latentloom.nodes.types import Image

IMAGE = Image(torch.zeros(1, 3, 8, 8))


class Clock:
    """Time that passes when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "monotonic", made)
    return made


@pytest.fixture
def reports() -> list:
    return []


@pytest.fixture
def teller(tmp_path, reports) -> Teller:
    return Teller(reports.append, Places({}, tmp_path / "output", tmp_path / "previews"))


def test_quick_steps_are_told_now_and_then_and_the_last_always(teller, reports, clock):
    teller(events.Started("a"))
    for step in range(1000):
        clock.now += 0.001
        teller(events.Progressed("a", step + 1, 1000))
    steps = [report.done for report in reports if isinstance(report, Stepped)]
    assert 25 <= len(steps) <= 35 and steps[0] == 1 and steps[-1] == 1000


def test_previews_are_made_ten_times_a_second_and_less_often_where_they_cost_much(teller, reports, clock):
    def run(cost: float) -> int:
        made = 0

        def preview() -> Image:
            nonlocal made
            made += 1
            clock.now += cost
            return IMAGE

        teller(events.Started("a"))
        end = clock.now + 10
        while clock.now < end:
            clock.now += 0.02
            teller(events.Progressed("a", 1, 1000, preview=preview))
        return made

    assert 80 <= run(0.0) <= 100
    assert 8 <= run(0.2) <= 11  # a fifth of the time
    shown = [report.preview for report in reports if isinstance(report, Stepped) and report.preview]
    assert shown and all(url.startswith("data:image/webp") for url in shown)


def test_a_preview_that_fails_ends_nothing(teller, reports, caplog):
    def broken():
        raise RuntimeError("no memory")

    teller(events.Started("a"))
    teller(events.Progressed("a", 1, 2, preview=broken))
    teller(events.Finished("a", 1.0, "key", dict))
    assert [type(report) for report in reports] == [Started, Stepped, NodeEnded] and "no memory" in caplog.text


def test_pictures_are_made_beside_the_run_and_all_told_at_its_end(teller, reports, monkeypatch):
    quick = module.previews.outputs_of

    def slow(values, folder):
        time.sleep(0.2)
        return quick(values, folder)

    monkeypatch.setattr(module.previews, "outputs_of", slow)
    began = time.monotonic()
    teller(events.Finished("a", 1.0, "key", lambda: {"image": IMAGE}))
    teller(events.Reused("b", "key", lambda: {"image": IMAGE}))
    teller(events.Reused("c", "key", lambda: None))
    assert time.monotonic() - began < 0.15
    teller.finish()
    shown = {report.node: report for report in reports if isinstance(report, Shown)}
    assert set(shown) == {"a", "b"} and shown["a"].thumbnail and shown["a"].outputs[0].kind == "image"


def test_pictures_that_cannot_be_written_end_nothing(tmp_path, reports, caplog):
    (tmp_path / "file").write_text("")
    teller = Teller(reports.append, Places({}, tmp_path, tmp_path / "file"))
    teller(events.Finished("a", 1.0, "key", lambda: {"image": IMAGE}))
    teller.finish()
    assert [type(report) for report in reports] == [NodeEnded] and "could not be made" in caplog.text


def test_files_are_told_below_the_output_folder(teller, reports, tmp_path):
    teller(events.Noted("a", {"files": [tmp_path / "output/x/1.png", "/elsewhere/2.png"], "other": 1}))
    assert reports == [Noted("a", {"files": ["x/1.png", "/elsewhere/2.png"], "other": 1})]


def test_how_nodes_end(teller, reports):
    teller(events.Failed("a", "It broke.", 2.0, "trace"))
    teller(events.Skipped("b", "a"))
    teller(events.Cancelled("c"))
    assert reports == [
        NodeEnded("a", "failed", 2.0, "It broke."),
        NodeEnded("b", "skipped", error="It needs a, which failed."),
        NodeEnded("c", "cancelled"),
    ]
    assert [failure.node for failure in teller.failures] == ["a"]
