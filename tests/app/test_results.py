"""How far a job is, and what it made, as the form tells it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio_page import in_blocks
from matplotlib.figure import Figure

from latentloom.app.jobs.places import Places
from latentloom.app.jobs.wire import (
    FigureOutput,
    JobDetail,
    NodeState,
    Picture,
    Series,
    TableOutput,
    TextOutput,
)
from latentloom.app.public import PublicOutput
from latentloom.app.results import Result, standing
from latentloom.graph.problems import Problem

PICTURE = Picture(name="image", url="/api/previews/abc.webp", width=8, height=8)
SAVED = PICTURE.model_copy(update={"full": "/api/outputs/deep/a.png"})
TABLE = TableOutput(name="scores", columns=["prompt", "score"], rows=[["a ring", 0.5]])
FIGURE = FigureOutput(
    name="curve", title="Loss", x_label="step", y_label="loss", series=[Series(name="train", x=[0, 1], y=[1, 0.5])]
)
TEXT = TextOutput(name="text", text="Well done.")


def job(status: str = "running", **more: Any) -> JobDetail:
    return JobDetail(id="job", name="Test", status=status, submitted=0.0, workflow={}, **more)  # type: ignore[arg-type]


@pytest.fixture
def result(tmp_path: Path) -> Result:
    return Result(PublicOutput("save", "Picture"), Places({}, tmp_path / "output", tmp_path / "previews"))


def updates(result: Result, *outputs: Any) -> list[Any]:
    return result.updates(job(nodes={"save": NodeState(status="done", outputs=outputs)}), None)[1]


def test_each_kind_has_its_component_and_the_others_are_not_seen(result):
    assert [type(component) for component in in_blocks(result.draw)] == [gr.Gallery, gr.Dataframe, gr.Plot, gr.Textbox]
    for place, output in enumerate([PICTURE, TABLE, FIGURE, TEXT]):
        assert [component.visible for component in updates(result, output)] == [place == seen for seen in range(4)]


def test_a_saved_picture_is_shown_as_the_file_that_carries_its_workflow(result, monkeypatch):
    shown: list[Any] = []
    monkeypatch.setattr(gr, "Gallery", lambda pictures, **_: shown.extend(pictures))
    updates(result, PICTURE, SAVED)
    assert [path.parts[-2:] for path in shown] == [("previews", "abc.webp"), ("deep", "a.png")]


def test_curves_are_drawn_with_their_names(result, monkeypatch):
    drawn: list[Figure] = []
    monkeypatch.setattr(gr, "Plot", lambda figure, **_: drawn.append(figure))
    updates(result, FIGURE, FIGURE)
    (figure,) = drawn
    assert [axes.get_title() for axes in figure.axes] == ["Loss", "Loss"]
    assert figure.axes[0].get_xlabel() == "step"
    assert [line.get_label() for line in figure.axes[0].lines] == ["train"]


def test_what_is_seen_already_is_not_sent_again(result):
    made = job(nodes={"save": NodeState(outputs=(TEXT,))})
    name, _ = result.updates(made, None)
    again, found = result.updates(made, name)
    assert again == name
    assert found == [gr.skip()] * 4
    assert result.updates(made.model_copy(update={"id": "another"}), name)[0] != name


def test_a_running_job_tells_its_step_and_what_is_left():
    state = NodeState(
        status="running", done=7, total=25, label="denoising", left=3.2, preview="data:image/webp;base64,AA"
    )
    told = standing(job(progress=0.5, nodes={"my_sampler": state}))
    assert "My sampler, denoising: step 7 of 25, 3 s left." in told
    assert 'value="0.5000"' in told
    assert 'src="data:image/webp;base64,AA"' in told


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (job("queued"), "Waiting for its turn."),
        (job("running"), "Running."),
        (job("cancelled"), "Cancelled."),
        (job("done", started=1.0, ended=3.5), "Done in 2.5 s."),
        (job("failed", error="The worker ended."), "The worker ended."),
        (job("failed", nodes={"save": NodeState(status="failed", error="No room.")}), "Save: No room."),
    ],
)
def test_each_state_has_its_sentence(made, sentence):
    assert sentence in standing(made)


def test_what_comes_from_elsewhere_is_text_and_no_markup():
    assert "<script>" not in standing(problems=[Problem("<script>alert(1)</script>")])
    assert "<script>" not in standing(job("failed", error="<script>"))
    assert 'onerror="' not in standing(job(nodes={"a": NodeState(status="running", preview='x" onerror="alert(1)')}))
