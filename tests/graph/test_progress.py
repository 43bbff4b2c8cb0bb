"""Every call is a place where a cancelled run stops; without listeners all are silent."""

import threading

import pytest

from latentloom.graph.progress import QUIET, Cancelled, Progress


def test_steps_and_notes_are_passed_on():
    heard = []
    progress = Progress(lambda *step: heard.append(step), heard.append)
    progress.step(1, 3, "half", None)
    progress.note(device="cpu")
    assert heard == [(1, 3, "half", None), {"device": "cpu"}]


def test_a_cancelled_run_stops_at_the_next_call_and_hears_no_more():
    cancel, heard = threading.Event(), []
    progress = Progress(lambda *step: heard.append(step), cancel=cancel)
    progress.stop_if_cancelled()
    cancel.set()
    with pytest.raises(Cancelled):
        progress.stop_if_cancelled()
    with pytest.raises(Cancelled):
        progress.step(1, 2)
    assert heard == []


def test_nobody_has_to_listen():
    QUIET.step(1, 2, "x", lambda: 1 / 0)
    QUIET.note(x=1)
    QUIET.stop_if_cancelled()
