from dataclasses import replace

import torch

from latentloom.nodes.shapes.caption import Request, Wanted, parse, request_of
from latentloom.nodes.shapes.grade import grade, grade_pictures, read, relation_of, summary
from latentloom.nodes.shapes.render import render
from latentloom.nodes.shapes.scene import COLOURS, PLACES, SHAPES, Scene, Thing, held_out_scenes


def test_real_pictures_are_right():
    scenes = held_out_scenes(200, "grader")
    marks = summary(grade_pictures(render(scenes), [request_of(scene) for scene in scenes]))
    assert min(marks.values()) >= 0.99


def test_noise_and_doubled_size_do_not_matter():
    scenes = held_out_scenes(60, "noisy")
    requests = [request_of(scene) for scene in scenes]
    noise = 0.05 * torch.randn(60, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert summary(grade_pictures((render(scenes) + noise).clamp(0, 1), requests))["all"] >= 0.95
    assert summary(grade_pictures(render(scenes, 64), requests))["all"] >= 0.97


def test_each_attribute_is_told_wrong_on_its_own():
    for scene in held_out_scenes(20, "wrong"):
        seen = read(render([scene]))[0]
        asked = request_of(scene)
        thing = asked.things[0]
        others = (asked.things[1:],)[0]
        wrong = {
            "shape": replace(thing, shape=next(shape for shape in SHAPES if shape != thing.shape)),
            "size": replace(thing, size={"small": "large", "large": "small"}[thing.size or ""]),
            "colour": replace(
                thing, colour=next(c for c in COLOURS if c not in {want.colour for want in asked.things})
            ),
        }
        assert grade(seen, asked).all
        for name, changed in wrong.items():
            marks = grade(seen, replace(asked, things=(changed, *others)))
            assert getattr(marks, name) is False, (name, scene)
            assert marks.background and marks.count and not marks.all
        assert grade(seen, replace(asked, background="black" if scene.background != "black" else "white")).all is False


def test_swapped_things_fail_the_relation_only():
    scene = Scene(
        (Thing("circle", "red", "large", 0.27, 0.5), Thing("bar", "blue", "small", 0.73, 0.55)),
        "white",
        relation="left of",
    )
    marks = grade_pictures(render([scene]), [replace(request_of(scene), relation="right of")])[0]
    assert marks.relation is False
    assert marks.colour and marks.shape and marks.size and marks.count


def test_swapped_colours_fail():
    scene = Scene((Thing("circle", "red", "large", 0.27, 0.5), Thing("bar", "blue", "small", 0.73, 0.55)), "white")
    marks = grade_pictures(render([scene]), [parse("a blue circle and a red bar")])[0]
    assert not marks.all


def test_places():
    for name, (x, y) in PLACES.items():
        scene = Scene((Thing("cross", "pink", "small", 0.5 + 0.22 * x, 0.5 + 0.22 * y),), "gray", place=name)
        assert read(render([scene]))[0].place == name


def test_relations_follow_the_longer_axis():
    assert relation_of(Thing("bar", "red", "small", 0.2, 0.4), Thing("bar", "red", "small", 0.6, 0.6)) == "left of"
    assert relation_of(Thing("bar", "red", "small", 0.4, 0.9), Thing("bar", "red", "small", 0.6, 0.2)) == "below"


def test_an_empty_picture_lacks_everything():
    marks = grade_pictures(torch.ones(1, 3, 32, 32), [parse("a red circle at the top on a white background")])[0]
    assert marks.background is True
    assert (marks.count, marks.colour, marks.shape, marks.place, marks.all) == (False, False, False, False, False)


def test_what_was_not_asked_is_not_graded():
    scene = held_out_scenes(1)[0]
    marks = grade_pictures(render([scene]), [Request((Wanted(scene.things[0].shape),))])[0]
    assert marks.shape and marks.all
    assert marks.colour is marks.size is marks.background is marks.place is None
    assert "colour" not in summary([marks])
