from itertools import combinations
from math import dist
from random import Random

from latentloom.nodes.shapes.scene import BACKGROUNDS, COLOURS, held_out_scenes, random_scene, random_scenes


def test_all_colours_can_be_told_apart():
    palette = [*COLOURS.values(), *BACKGROUNDS.values()]
    assert min(dist(a, b) for a, b in combinations(palette, 2)) > 98


def test_scenes_depend_on_their_seed_alone():
    assert random_scenes(50, "a") == random_scenes(50, "a")
    assert random_scenes(50, "a") != random_scenes(50, "b")


def test_held_out_scenes_have_one_thing_and_two_by_turns():
    assert [len(scene.things) for scene in held_out_scenes(6)] == [1, 2, 1, 2, 1, 2]


def test_things_lie_inside_the_picture():
    random = Random(0)
    for _ in range(300):
        for thing in random_scene(random).things:
            assert 0.21 < thing.x < 0.79 and 0.21 < thing.y < 0.79
