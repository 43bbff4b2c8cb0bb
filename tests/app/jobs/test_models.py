"""A workflow with a real model in a worker: pictures on the way, a lock at the end, and a cancel within one step."""

# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import time
from pathlib import Path

import pytest

from latentloom.app.jobs.places import Places
from latentloom.app.jobs.queue import Queue, Submission
from latentloom.app.jobs.wire import NodeMessage
from latentloom.graph.workflow import Workflow
from latentloom.nodes.models.runtime import RuntimeSettings


class Recorder:
    def __init__(self):
        self.ended_with = []

    def submitted(self, job):
        pass

    def ended(self, job, lock, files):
        self.ended_with.append((job.id, lock, list(files)))


@pytest.fixture(scope="module")
def recorder():
    return Recorder()


@pytest.fixture(scope="module")
def queue(tiny_sd: Path, recorder, tmp_path_factory):
    here = tmp_path_factory.mktemp("workspace")
    places = Places({"models": [tiny_sd.parent]}, here / "output", here / "previews")
    made = Queue(places, ["cpu"], RuntimeSettings(device="cpu"), recorder=recorder)
    made.start()
    yield made
    made.close()


def picture(steps: int, seed: int = 0) -> Workflow:
    nodes = {
        "model": {"type": "load_model", "settings": {"source": "tiny-sd"}},
        "prompt": {"type": "encode_prompt", "settings": {"text": "a red circle"}},
        "canvas": {"type": "empty_latent"},
        "noise": {"type": "gaussian_noise", "settings": {"seed": seed}},
        "schedule": {"type": "schedule", "settings": {"steps": steps}},
        "sample": {"type": "denoise"},
        "picture": {"type": "decode"},
        "save": {"type": "save_image", "settings": {"name": "sub/picture"}},
    }
    wires = """model.model prompt.model, model.model canvas.model, canvas.latent noise.latent, model.model sample.model,
        noise.noise sample.noise, prompt.conditioning sample.positive, schedule.schedule sample.schedule,
        model.model picture.model, sample.latent picture.latent, picture.image save.image"""
    return Workflow.of({"format": 1, "nodes": nodes, "wires": [wire.split() for wire in wires.split(",")]})


def test_a_picture_is_made_with_previews_on_the_way(queue, recorder):
    previews = []
    leave = queue.subscribe(
        lambda m: previews.append(m.state.preview) if isinstance(m, NodeMessage) and m.state.preview else None
    )
    ended = queue.wait(queue.submit(Submission(picture(12))).id, 120)
    leave()
    detail = queue.detail(ended.id)
    assert ended.status == "done", ended.error
    assert previews and previews[0].startswith("data:image/webp;base64,")
    assert detail.nodes["sample"].facts["network_calls"] == 26  # PNDM takes one more than asked for
    shown, saved = detail.nodes["picture"].outputs[0], detail.nodes["save"].outputs[0]
    assert (shown.width, shown.height, shown.full) == (32, 32, None)
    assert saved.full == "/api/outputs/sub/picture.png" and saved.url == shown.url
    assert (queue.places.previews / shown.url.rpartition("/")[2]).is_file()
    assert (queue.places.output / "sub/picture.png").is_file()
    assert ended.thumbnail
    deadline = time.monotonic() + 10
    while not recorder.ended_with:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    id_, lock, files = recorder.ended_with[0]
    assert id_ == ended.id and files == ["sub/picture.png"]
    assert lock["torch"] and any("sha256" in str(value) for value in lock["models"].values())


def test_models_are_warm_and_what_was_made_is_shown_again(queue):
    ended = queue.wait(queue.submit(Submission(picture(12))).id, 120)
    nodes = queue.detail(ended.id).nodes
    assert nodes["sample"].status == nodes["picture"].status == "reused" and nodes["picture"].outputs


def test_a_cancel_stops_within_one_step(queue):
    job = queue.submit(Submission(picture(500, seed=1)))
    deadline = time.monotonic() + 60
    while not (state := queue.detail(job.id).nodes["sample"]).done:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    queue.cancel(job.id)
    ended = queue.wait(job.id, 30)
    assert ended.status == "cancelled"
    stopped = queue.detail(job.id).nodes["sample"]
    assert stopped.status == "cancelled" and state.done <= stopped.done < 450


def test_a_device_that_is_not_there_fails_the_job_with_a_sentence(tiny_sd, tmp_path):
    queue = Queue(Places({"models": [tiny_sd.parent]}, tmp_path, tmp_path), ["cuda:77"], RuntimeSettings())
    queue.start()
    try:
        ended = queue.wait(queue.submit(Submission(picture(2))).id, 120)
        assert ended.status == "failed" and "cuda:77" in ended.error
    finally:
        queue.close()
