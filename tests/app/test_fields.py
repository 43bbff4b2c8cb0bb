"""Each kind of setting has its component, and what is entered there is what the check takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import gradio as gr
import pytest
from PIL import Image as Pillow
from pydantic import Field as Limits

from latentloom.app import fields
from latentloom.app.fields import Field
from latentloom.app.public import PublicSetting
from latentloom.graph.files import Files, Reads
from latentloom.graph.ports import REQUIRED, Setting

NO_FILES = Files()
Few = Annotated[int, Limits(ge=1, le=10)]


def field(annotation, value=None, name="setting", default=REQUIRED, rule="") -> Field:
    return Field(PublicSetting("node", Setting(name, annotation, default), "Label", value, rule))


@pytest.mark.parametrize(
    ("annotation", "value", "component"),
    [
        (bool, True, gr.Checkbox),
        (Literal["png", "jpeg"], "png", gr.Dropdown),
        (Annotated[int, Limits(ge=1, le=100)], 25, gr.Slider),
        (Annotated[float, Limits(ge=0, le=1)], 0.5, gr.Slider),
        (Annotated[int, Limits(ge=1, le=1000)], 25, gr.Number),
        (Annotated[int, Limits(ge=0, le=10**9)], 5, gr.Number),
        (float, 5.0, gr.Number),
        (Few | None, None, gr.Number),
        (str, "words", gr.Textbox),
        (Annotated[str, Reads("models")], "shapes-unet", gr.Dropdown),
        (Annotated[str, Reads("input")], "cat.png", gr.Image),
        (tuple[int, int], [1, 2], gr.Textbox),
    ],
)
def test_a_setting_has_the_component_of_its_schema(annotation, value, component):
    made = field(annotation, value).component(NO_FILES, ["shapes-unet"])
    assert type(made) is component
    assert made.label == "Label"


@pytest.mark.parametrize(
    ("least", "most", "step"), [(0, 1, 0.01), (0, 20, 0.1), (-1, 1, 0.01), (0.5, 2.5, 0.01), (0, 100, 1)]
)
def test_a_slider_has_round_steps_and_not_too_many(least, most, step):
    slider = field(Annotated[float, Limits(ge=least, le=most)], least).component(NO_FILES)
    assert isinstance(slider, gr.Slider)
    assert (slider.minimum, slider.maximum, slider.step) == (least, most, step)


def test_a_range_too_wide_for_a_slider_is_stated():
    made = field(Annotated[int, Limits(ge=1, le=1000, description="How many.")], 25).component(NO_FILES)
    assert isinstance(made, gr.Number)
    assert made.info == "How many. Whole number from 1 to 1000." and (made.minimum, made.maximum) == (1, 1000)
    assert field(float, 5.0).component(NO_FILES).info is None


def test_a_slider_stands_where_the_canvas_has_one():
    source = (Path(__file__).parents[2] / "app/canvas/src/widgets/numbers.ts").read_text()
    assert f"const MOST_WHOLE = {fields._MOST_STEPS};" in source


def test_a_step_of_its_own_is_kept():
    slider = field(Annotated[int, Limits(ge=8, le=2048, multiple_of=8)], 512).component(NO_FILES)
    assert isinstance(slider, gr.Slider)
    assert slider.step == 8


def test_a_choice_is_given_as_what_it_is():
    choice = field(Literal[1, 2, "auto"], 2).component(NO_FILES)
    assert isinstance(choice, gr.Dropdown)
    assert choice.choices == [("1", 1), ("2", 2), ("auto", "auto")]
    assert choice.value == 2


@pytest.mark.parametrize(
    ("annotation", "value", "default", "shown"),
    [
        (Annotated[int, Limits(ge=1, le=100)], "many", 25, 25),
        (Annotated[int, Limits(ge=1, le=100)], 1000, 25, 25),
        (Literal["png", "jpeg"], "gif", "png", "png"),
        (bool, "perhaps", True, True),
        (str, 5, REQUIRED, ""),
    ],
)
def test_a_value_that_does_not_fit_gives_way_to_the_default(annotation, value, default, shown):
    made = field(annotation, value, default=default).component(NO_FILES)
    assert made.value == shown


def test_a_picture_is_found_in_the_input_folders(tmp_path: Path):
    Pillow.new("RGB", (4, 4), "red").save(tmp_path / "red.png")
    files = Files({"input": [tmp_path]})
    found = field(Annotated[str, Reads("input")], "red.png").component(files)
    assert "red" in str(found.value)
    assert field(Annotated[str, Reads("input")], "../secret.png").component(files).value is None


def test_a_model_that_is_not_here_stays_chosen():
    offered = field(Annotated[str, Reads("models")], "far/away").component(NO_FILES, ["shapes-unet"])
    assert isinstance(offered, gr.Dropdown)
    assert offered.value == "far/away"
    assert ("shapes-unet", "shapes-unet") in offered.choices


@pytest.mark.parametrize(
    ("annotation", "entered", "value"),
    [
        (int, 7.0, 7),
        (int, 7.5, 7.5),
        (float, 7.0, 7.0),
        (int | None, None, None),
        (str | None, "", None),
        (str, "", ""),
        (tuple[int, int], "[1, 2]", [1, 2]),
        (tuple[int, int], "1 by 2", "1 by 2"),
        (bool, False, False),
    ],
)
def test_what_is_entered_is_json_of_the_setting(annotation, entered, value):
    found = field(annotation).entered(entered)
    assert found == value
    assert type(found) is type(value)
