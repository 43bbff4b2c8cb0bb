"""Jobs are run in order, each once, and everybody is told."""

from __future__ import annotations

import threading
import time
from collections import defaultdict

import pytest
from arithmetic import workflow
from jobs_world import MODULES, dies_when_it_is_ready, single

from latentloom.app.jobs import lane, process
from latentloom.app.jobs.queue import Queue, Submission
from latentloom.app.jobs.wire import ENDED, JobMessage, NodeMessage, QueueMessage
from latentloom.graph.problems import Refused
from latentloom.graph.run import CheckFailed

SUM = workflow({"a": "number", "b": "double", "see": "show"}, "a.number -> b.number", "b.even -> see.text")


def submit(queue: Queue, kind: str = "steps", **settings):
    return queue.submit(Submission(single(kind, **settings)))


def wait_until(found, seconds: float = 20):
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.005)


def test_a_job_goes_from_queued_to_done_and_every_message_tells_a_whole_state(queue):
    heard = []
    leave = queue.subscribe(heard.append)
    job = queue.submit(Submission(SUM, file="workflows/sum.json", client="tab"))
    assert (job.status, job.name, job.file, job.client, job.device) in {
        (status, "sum", "workflows/sum.json", "tab", "cpu") for status in ("queued", "running")
    }
    ended = queue.wait(job.id, 20)
    assert ended.status == "done" and ended.progress == 1 and ended.error == ""
    assert ended.submitted <= (ended.started or 0) <= (ended.ended or 0)
    detail = queue.detail(job.id)
    assert {id_: state.status for id_, state in detail.nodes.items()} == dict.fromkeys(("a", "b", "see"), "done")
    assert detail.workflow == SUM.document and detail.goals is None
    wait_until(lambda: any(isinstance(m, JobMessage) and m.job.status == "done" for m in heard))
    last = {m.node: m.state for m in heard if isinstance(m, NodeMessage) and m.job == job.id}
    assert last == dict(detail.nodes)
    wait_until(lambda: isinstance(heard[-1], QueueMessage) and heard[-1].jobs[0].status == "done")
    leave()
    count = len(heard)
    queue.wait(submit(queue, count=1).id, 20)
    assert len(heard) == count


def test_steps_are_told_with_what_is_left(queue):
    states = []
    leave = queue.subscribe(lambda m: states.append(m.state) if isinstance(m, NodeMessage) else None)
    queue.wait(submit(queue, count=10, seconds=0.05).id, 20)
    leave()
    running = [state for state in states if state.status == "running" and state.done]
    assert len(running) >= 5 and running[0].total == 10 and running[0].label == "stepping"
    assert [state.done for state in running] == sorted(state.done for state in running)
    guesses = [(state.left, (10 - state.done) * 0.05) for state in running[2:] if state.done < 10]
    assert guesses and all(left is not None and 0.5 * true < left < 5 * true + 0.2 for left, true in guesses)
    assert states[-1].status == "done" and states[-1].left is None and states[-1].done == 10


def test_what_cannot_run_is_refused_with_all_problems(queue):
    with pytest.raises(CheckFailed) as refused:
        queue.submit(Submission(single("stepz", count=1), goals=("gone",), device="cuda:9"))
    sentences = " ".join(problem.sentence for problem in refused.value.problems)
    assert 'no device "cuda:9"' in sentences and 'no node "gone"' in sentences
    with pytest.raises(CheckFailed, match='Did you mean "steps"'):
        queue.submit(Submission(single("stepz")))


def test_goals_muted_nodes_and_warnings(queue):
    document = {**SUM.document, "nodes": {**SUM.document["nodes"], "odd": {"type": "nothing"}}}
    document["nodes"]["see"] = {"type": "show", "mode": "mute"}
    job = queue.submit(Submission(type(SUM).of(document), goals=("b",)))
    queue.wait(job.id, 20)
    detail = queue.detail(job.id)
    statuses = {id_: state.status for id_, state in detail.nodes.items()}
    assert statuses.pop("see") == "muted" and set(statuses) == {"a", "b"}
    assert set(statuses.values()) <= {"done", "reused"}  # other tests may have run the same
    assert [problem.node for problem in detail.warnings] == ["odd"] and detail.goals == ("b",)


def test_a_running_job_is_cancelled_within_one_step(queue):
    job = submit(queue, count=1000, seconds=0.05)
    wait_until(lambda: queue.detail(job.id).nodes["it"].done >= 2)
    began = time.monotonic()
    queue.cancel(job.id)
    ended = queue.wait(job.id, 20)
    assert ended.status == "cancelled" and time.monotonic() - began < 2
    assert queue.detail(job.id).nodes["it"].status == "cancelled"
    assert queue.wait(submit(queue, count=1).id, 20).status == "done"  # and the worker goes on
    assert queue.cancel(job.id).status == "cancelled"  # as it was


def test_what_waits_is_moved_cancelled_and_cleared(make_queue):
    queue = make_queue()
    queue.pause(True)
    a, b, c, d = (submit(queue, count=i + 1) for i in range(4))
    first = queue.submit(Submission(single("steps", count=9), front=True))

    def order():
        return [job.id for job in queue.jobs() if job.status == "queued"]

    assert order() == [first.id, a.id, b.id, c.id, d.id]
    assert [job.id for job in queue.move(d.id, a.id)] == [first.id, d.id, a.id, b.id, c.id]
    queue.move(first.id, None)
    queue.move(b.id, b.id)
    assert order() == [d.id, a.id, b.id, c.id, first.id]
    assert queue.cancel(a.id).status == "cancelled" and order() == [d.id, b.id, c.id, first.id]
    assert queue.detail(a.id).nodes["it"].status == "cancelled"
    with pytest.raises(Refused, match="does not wait"):
        queue.move(a.id, None)
    with pytest.raises(KeyError):
        queue.move("nothing", None)
    with pytest.raises(KeyError):
        queue.cancel("nothing")
    with pytest.raises(KeyError):
        queue.wait("nothing", 1)
    time.sleep(0.1)
    assert queue.paused and len(order()) == 4  # nothing began
    queue.clear()
    assert order() == [] and {job.status for job in queue.jobs()} == {"cancelled"}
    queue.pause(False)
    assert queue.wait(submit(queue, count=1).id, 20).status == "done"


def test_200_jobs_of_32_threads_are_run_in_order_none_lost_none_twice(queue):
    started = []
    last = {}

    def listen(message):
        if isinstance(message, JobMessage):
            if message.job.started is not None and message.job.id not in last:
                started.append(message.job.id)
                last[message.job.id] = None
            if message.job.status in ENDED:
                last[message.job.id] = message.job.status

    leave = queue.subscribe(listen)
    queue.pause(True)
    mine = defaultdict(list)

    def client(number):
        for _ in range(7 if number < 8 else 6):
            mine[number].append(queue.submit(Submission(SUM, client=str(number))).id)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    waiting = [job.id for job in queue.jobs() if job.status == "queued"]
    assert len(waiting) == 200 and sorted(waiting) == sorted(id_ for ids in mine.values() for id_ in ids)
    assert all([id_ for id_ in waiting if id_ in ids] == ids for ids in mine.values())
    queue.pause(False)
    wait_until(lambda: len(last) == 200 and all(last.values()), 60)
    leave()
    assert started == waiting
    assert set(last.values()) == {"done"}
    assert [job.id for job in queue.jobs()] == list(reversed(waiting))[:100]


def test_each_device_has_a_worker_and_a_job_may_ask_for_one(make_queue):
    queue = make_queue(("cpu", "cuda:1"))
    asked = queue.submit(Submission(single("steps", count=40, seconds=0.05), device="cuda:1"))
    other = queue.submit(Submission(single("steps", count=40, seconds=0.05)))
    assert asked.device == "cuda:1" and other.device == ""
    wait_until(lambda: [job.status for job in queue.jobs()] == ["running", "running"])
    assert {job.device for job in queue.jobs()} == {"cpu", "cuda:1"}
    assert queue.cancel(asked.id).id == asked.id and queue.cancel(other.id).id == other.id
    assert {queue.wait(job.id, 20).status for job in (asked, other)} == {"cancelled"}


def test_a_broken_listener_does_not_silence_the_others(queue, caplog):
    heard = []

    def broken(message):
        raise ValueError("no")

    leaves = [queue.subscribe(broken), queue.subscribe(heard.append)]
    queue.wait(submit(queue, count=1).id, 20)
    wait_until(lambda: any(isinstance(m, JobMessage) and m.job.status == "done" for m in heard))
    for leave in leaves:
        leave()
    assert "A listener of the queue failed" in caplog.text


class Recorder:
    def __init__(self):
        self.calls = []

    def submitted(self, job):
        self.calls.append(("submitted", job.id, job.status))

    def ended(self, job, lock, files):
        self.calls.append(("ended", job.id, job.status, lock, list(files)))
        if job.status == "cancelled":
            raise OSError("the disk is full")


def test_the_recorder_hears_of_every_job_with_lock_and_files(make_queue, caplog):
    recorder = Recorder()
    queue = make_queue(recorder=recorder)
    text = workflow(
        {"n": "number", "t": "spell", "w": ("write", {"name": "deep/text.txt"})},
        "n.number -> t.number",
        "t.text -> w.text",
    )
    queue.pause(True)
    cancelled = submit(queue, count=1)
    queue.cancel(cancelled.id)
    queue.pause(False)
    job = queue.submit(Submission(text))
    queue.wait(job.id, 20)
    queue.close()
    assert [call[:3] for call in recorder.calls] == [
        ("submitted", cancelled.id, "queued"),
        ("ended", cancelled.id, "cancelled"),
        ("submitted", job.id, "queued"),
        ("ended", job.id, "done"),
    ]
    assert recorder.calls[3][3]["models"] == {} and "latentloom" in recorder.calls[3][3]
    assert "latentloom" in recorder.calls[1][3] and "could not be recorded" in caplog.text


def test_a_closed_queue_ends_what_runs_and_takes_no_more(make_queue):
    recorder = Recorder()
    queue = make_queue(recorder=recorder)
    running, waiting = submit(queue, count=1000, seconds=0.02), submit(queue)
    wait_until(lambda: queue.jobs()[0].status == "running")
    began = time.monotonic()
    queue.close()
    queue.close()
    assert time.monotonic() - began < 5
    assert {call[1]: call[2] for call in recorder.calls if call[0] == "ended"} == {
        running.id: "cancelled",
        waiting.id: "cancelled",
    }
    with pytest.raises(CheckFailed, match="being stopped"):
        submit(queue)


def test_a_worker_that_cannot_start_fails_the_jobs_and_is_not_tried_for_ever(make_queue, monkeypatch):
    monkeypatch.setattr(lane, "work", print)  # ends before it is ready
    queue = make_queue()
    jobs = [submit(queue), submit(queue)]
    for job in jobs:
        ended = queue.wait(job.id, 30)
        assert ended.status == "failed" and "exit code 0" in ended.error and "had not taken a job" in ended.error
    monkeypatch.undo()
    assert queue.wait(submit(queue, count=1).id, 30).status == "done"


def test_a_worker_that_dies_as_soon_as_it_is_ready_is_not_started_for_ever(make_queue, monkeypatch):
    started = []

    class Counted(process.WorkerProcess):
        def __init__(self, *given):
            started.append(1)
            super().__init__(*given)

    monkeypatch.setattr(lane, "WorkerProcess", Counted)
    monkeypatch.setattr(lane, "work", dies_when_it_is_ready)
    queue = make_queue()
    time.sleep(2)
    assert len(started) == 1
    ended = queue.wait(submit(queue).id, 30)
    assert ended.status == "failed" and "exit code 0" in ended.error and len(started) <= 4


def test_the_nodes_of_the_tests_are_there():
    assert set(MODULES) >= {"steps", "crash", "number", "show"}
