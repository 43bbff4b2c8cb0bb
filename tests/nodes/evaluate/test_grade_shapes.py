from dataclasses import replace
from typing import Any

import pytest

from latentloom.graph.node import NodeError
from latentloom.nodes.evaluate.grade_shapes import grade_shapes
from latentloom.nodes.evaluate.shapes_prompts import shapes_prompts
from latentloom.nodes.shapes.caption import parse
from latentloom.nodes.shapes.render import render
from latentloom.nodes.shapes.scene import held_out_scenes
from latentloom.nodes.types import Image, Prompts

COUNT = 40


def graded(scenes) -> dict[Any, Any]:
    table = grade_shapes(Image(render(scenes)), shapes_prompts(COUNT, "test"))
    return {name: right for name, right, _ in table.rows}


def test_pictures_of_the_scenes_themselves_are_right():
    rights = graded(held_out_scenes(COUNT, "test"))
    assert min(rights.values()) >= 0.95, rights


def test_pictures_on_another_background_are_wrong_in_that_alone():
    scenes = [
        replace(scene, background="gray" if scene.background != "gray" else "white")
        for scene in held_out_scenes(COUNT, "test")
    ]
    rights = graded(scenes)
    assert rights["background"] == 0
    assert rights["everything"] == 0
    assert rights["relation"] >= 0.9


def test_parts_share_no_prompt_of_two_things():
    validation, test = (set(shapes_prompts(200, part).texts[1::2]) for part in ("validation", "test"))
    assert len(test) == 100
    assert not validation & test


def test_prompts_ask_for_one_thing_and_two_by_turns():
    assert [len(parse(text).things) for text in shapes_prompts(4, "test").texts] == [1, 2, 1, 2]


def test_as_many_pictures_as_prompts_are_needed():
    with pytest.raises(NodeError, match="3 pictures and 1 prompts"):
        grade_shapes(Image(render(held_out_scenes(3, "test"))), Prompts(("a red circle",)))


def test_prompts_outside_the_world_are_told():
    with pytest.raises(NodeError, match="at most two things"):
        grade_shapes(Image(render(held_out_scenes(1, "test"))), Prompts(("a circle, a square and a ring",)))
