"""The form: which workflow it is of, what it sends to the queue, and what it finds again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio_page import in_blocks
from serving import QuietQueue

from latentloom.app.form import Form, opened, source
from latentloom.app.workspace.workspace import Workspace
from latentloom.graph.catalog import Catalog
from latentloom.graph.problems import Refused
from latentloom.nodes.catalog import NODES

ASKED = {"template": "text_to_image"}


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with closing(Workspace(tmp_path)) as made:
        yield made


@pytest.fixture
def queue(workspace: Workspace) -> QuietQueue:
    made = QuietQueue(workspace.places)
    made.catalog = Catalog(NODES, "latentloom.nodes")
    return made


def submit(form: Form, **changed: Any) -> list[Any]:
    """Press Run with some values changed, and a new seed for each run."""
    values = [changed.get(field.public.key.replace(".", "_"), field.public.value) for field in form._fields]
    return form._submit({}, *values, True)


@pytest.mark.parametrize(
    "asked", [{}, {"file": ""}, {"file": "workflows/none.json"}, {"template": "none"}, {"run": "x"}]
)
def test_an_address_that_leads_nowhere_is_refused(workspace, asked):
    with pytest.raises(Refused):
        opened(workspace, asked)


def test_files_templates_and_drafts_are_opened(workspace):
    content = workspace.templates.get("text_to_image").content
    workspace.files.write("workflows/mine.json", content, None)
    workspace.drafts.put("draft-one", content)
    for asked in (ASKED, {"file": "workflows/mine.json"}, {"draft": "draft-one"}):
        assert opened(workspace, asked).name == "Text to image"


def test_a_workflow_is_named_by_what_was_asked_for_first():
    assert source({"template": "a b", "run": "7", "theme": "dark"}) == "template=a+b"
    assert source({"file": "workflows/a.json"}) == "file=workflows%2Fa.json"
    assert source({}) == ""


def test_what_was_entered_is_what_runs(workspace, queue):
    form = Form(workspace, queue, ASKED, None)
    jobs, status, timer, _, seed = submit(form, prompt_text="a ring", schedule_steps=7.0)
    (job,) = queue.known.values()
    nodes = job.workflow["nodes"]
    assert nodes["prompt"]["settings"]["text"] == "a ring"
    assert nodes["schedule"]["settings"]["steps"] == 7
    assert jobs == {"template=text_to_image": job.id}
    assert "Waiting" in status
    assert timer.value < 1
    assert seed != nodes["noise"]["settings"]["seed"]


def test_what_cannot_run_is_told_and_nothing_is_queued(workspace, queue):
    form = Form(workspace, queue, ASKED, None)
    jobs, status, *_ = submit(form, schedule_steps=-1)
    assert jobs == {}
    assert "steps" in status
    assert queue.known == {}


def test_what_was_entered_is_found_again_with_the_job(workspace, queue):
    jobs = submit(Form(workspace, queue, ASKED, None), prompt_text="found again")[0]
    (id_,) = jobs.values()
    again = Form(workspace, queue, ASKED, id_)
    assert {field.public.key: field.public.value for field in again._fields}["prompt.text"] == "found again"
    queue.set(id_, status="running")
    assert again._look(jobs, {})[1].value < 1
    again._cancel(jobs)
    _, timer, status, run, *_ = again._look(jobs, {})
    assert timer.value > 1
    assert "Cancelled." in status
    assert run.interactive


def test_a_job_nobody_knows_any_more_is_no_hindrance(workspace, queue):
    form = Form(workspace, queue, ASKED, "gone")
    looked = form._look({source(ASKED): "gone"}, {})
    assert looked[1].value > 1
    assert looked[2:] == [gr.skip()] * (len(looked) - 2)


@pytest.mark.parametrize("name", ["text_to_image", "image_to_image", "inpaint", "seed_grid", "sampler_grid", "gallery"])
def test_every_shipped_workflow_can_be_drawn(workspace, queue, name):
    in_blocks(lambda: Form(workspace, queue, {"template": name}, None).draw(gr.BrowserState({}, secret="kept")))
