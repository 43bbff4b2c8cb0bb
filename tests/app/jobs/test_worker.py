"""What a node does to its worker, and what becomes of the job and of the next one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from jobs_world import single

from latentloom.app.jobs.process import sentence_of
from latentloom.app.jobs.queue import Submission


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("kill", ["killed by signal 9", "most likely because the computer ran out of memory"]),
        ("segfault", ["signal 11 (SIGSEGV)", "a library or a driver"]),
        ("exit", ["exit code 3"]),
        ("at once", ["exit code 4"]),
        ("text", ["exit code 1"]),
    ],
)
def test_a_crash_fails_the_job_with_a_sentence_and_the_next_job_runs(run, way, words):
    detail = run("crash", way=way)
    assert detail.status == "failed" and detail.nodes["it"].status == "failed"
    for word in [*words, 'while "it" ran']:
        assert word in detail.error
    assert run("steps", count=1).status == "done"


def test_a_worker_killed_from_outside(queue, run):
    before = int(run("process").nodes["it"].outputs[0].text.split()[0])
    job = queue.submit(Submission(single("steps", count=1000, seconds=0.02)))
    while queue.detail(job.id).nodes["it"].done < 1:
        time.sleep(0.01)
    os.kill(before, signal.SIGKILL)
    assert "killed by signal 9" in queue.wait(job.id, 20).error
    assert int(run("process").nodes["it"].outputs[0].text.split()[0]) != before


def test_an_idle_worker_that_dies_is_replaced(run):
    before = int(run("process").nodes["it"].outputs[0].text.split()[0])
    os.kill(before, signal.SIGKILL)
    assert int(run("process").nodes["it"].outputs[0].text.split()[0]) != before


def test_a_worker_is_kept_between_jobs_and_has_none_of_the_servers_sockets(run):
    import socket

    with socket.create_server(("127.0.0.1", 0)):
        told = {run("process").nodes["it"].outputs[0].text for _ in range(2)}
    assert len(told) == 1
    # its own end of the pipe to the server is the one socket it has
    assert told.pop().count("socket") <= 1


@pytest.mark.parametrize(
    ("way", "sentence"),
    [
        ("node", "This cannot be: choose another."),
        ("memory", "The computer has not enough memory."),
        ("fault", "RuntimeError: a fault"),
    ],
)
def test_a_failed_node_says_why_on_the_node_and_on_the_job(run, way, sentence):
    detail = run("fail", way=way)
    assert detail.status == "failed" and detail.nodes["it"].error.startswith(sentence)
    assert detail.error.startswith(f'"it" failed: {sentence}')


def test_an_error_that_cannot_be_told_fails_the_job_alone(run):
    before = run("process").nodes["it"].outputs[0].text
    assert run("fail", way="odd").status == "failed"
    assert run("process").nodes["it"].outputs[0].text == before


def test_facts_no_other_process_can_read_become_text(run):
    facts = run("note").nodes["it"].facts
    assert facts["odd"] == "a _Odd" and facts["nested"] == {"list": [1, None, [2]]} and facts["text"] == "?"


def test_results_are_kept_warm_between_jobs(queue):
    from arithmetic import workflow

    chain = workflow({"a": ("number", {"value": 77}), "b": "double"}, "a.number -> b.number")
    states = []
    for _ in range(2):
        job = queue.submit(Submission(chain))
        queue.wait(job.id, 20)
        states.append({id_: state.status for id_, state in queue.detail(job.id).nodes.items()})
    assert states == [{"a": "done", "b": "done"}, {"a": "reused", "b": "reused"}]


def test_a_node_that_does_not_listen_does_not_hold_up_the_end(make_queue, monkeypatch):
    from latentloom.app.jobs import process

    monkeypatch.setattr(process, "PATIENCE", 0.3)
    queue = make_queue()
    job = queue.submit(Submission(single("stubborn")))
    while queue.detail(job.id).nodes["it"].status != "running":
        time.sleep(0.01)
    began = time.monotonic()
    queue.close()
    assert time.monotonic() - began < 4 and queue.detail(job.id).status == "cancelled"


def test_a_node_that_does_not_listen_is_ended_by_a_second_cancel(queue, run, monkeypatch):
    from latentloom.app.jobs import lane

    monkeypatch.setattr(lane, "PATIENCE", 0.3)
    job = queue.submit(Submission(single("stubborn")))
    while queue.detail(job.id).nodes["it"].status != "running":
        time.sleep(0.01)
    for _ in range(2):
        queue.cancel(job.id)
    assert queue.wait(job.id, 0.4).status == "running"  # too soon
    queue.cancel(job.id)
    ended = queue.wait(job.id, 10)
    assert ended.status == "cancelled" and ended.error == ""
    assert run("steps", count=1).status == "done"


SERVER = """
    import signal, sys, time
    sys.path.insert(0, {tests!r})
    from pathlib import Path
    import jobs_world
    from latentloom.app.jobs.places import Places
    from latentloom.app.jobs.queue import Queue, Submission

    if __name__ == "__main__":
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored
        here = Path({folder!r})
        queue = Queue(Places({{}}, here, here), ["cpu"], None, modules=jobs_world.MODULES, package="")
        queue.start()
        job = queue.submit(Submission(jobs_world.single("process")))
        pid = queue.detail(queue.wait(job.id, 30).id).nodes["it"].outputs[0].text.split()[0]
        queue.submit(Submission(jobs_world.single("steps", count=10000, seconds=0.01)))
        try:
            print(pid, flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            {ending}
"""


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0]
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes as Linux shows them")
@pytest.mark.parametrize(("sent", "ending"), [("INT", "queue.close()"), ("INT", "pass"), ("KILL", "pass")])
def test_the_end_of_the_server_is_the_end_of_its_workers(tmp_path, sent, ending):
    script = tmp_path / "server.py"
    tests = str(Path(__file__).parents[2])
    script.write_text(textwrap.dedent(SERVER).format(tests=tests, folder=str(tmp_path), ending=ending))
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as server:
        assert server.stdout is not None
        worker = int(server.stdout.readline())
        if sent == "INT":
            os.killpg(server.pid, signal.SIGINT)  # as a terminal does: every process hears it
        else:
            server.kill()
        _, errors = server.communicate(timeout=20)
        deadline = time.monotonic() + 10
        while alive(worker):
            assert time.monotonic() < deadline, "the worker is left behind"
            time.sleep(0.05)
        assert "Traceback" not in errors
        assert server.returncode == (0 if sent == "INT" else -signal.SIGKILL)


@pytest.mark.parametrize(
    ("code", "words"),
    [(-9, "out of memory"), (-6, "SIGABRT"), (-15, "signal 15 (SIGTERM)."), (-64, "64"), (2, "code 2")],
)
def test_exit_codes_in_words(code, words):
    assert words in sentence_of(code)
