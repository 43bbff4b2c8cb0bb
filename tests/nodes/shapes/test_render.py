import torch

from latentloom.nodes.shapes.render import DISTANCES, coverage, render, render_dense
from latentloom.nodes.shapes.scene import BACKGROUNDS, COLOURS, SHAPES, SIZES, Scene, Thing, random_scenes


def test_every_shape_has_a_distance():
    assert tuple(DISTANCES) == SHAPES


def test_a_circle_covers_its_area():
    radius = 0.3
    mask = coverage(torch.tensor([0]), torch.tensor([[0.5, 0.5]]), torch.tensor([radius]), 64)
    assert abs(mask.mean().item() - torch.pi * radius**2) < 1e-3


def test_no_shape_reaches_past_its_radius():
    radius = 0.25
    count = len(SHAPES)
    masks = coverage(torch.arange(count), torch.full((count, 2), 0.5), torch.full((count,), radius), 32)
    outside = torch.ones(32, 32, dtype=torch.bool)
    outside[7:25, 7:25] = False  # 16 px of thing and one of anti-aliasing on each side
    assert masks[:, outside].max() == 0
    assert masks.amax((1, 2)).min() == 1


def test_colours_are_the_palette_s():
    scene = Scene((Thing("square", "orange", "large", 0.5, 0.5),), "navy")
    picture = render([scene])[0] * 255
    assert picture[:, 16, 16].round().int().tolist() == list(COLOURS["orange"])
    assert picture[:, 0, 0].round().int().tolist() == list(BACKGROUNDS["navy"])


def test_a_scene_looks_the_same_at_any_size():
    scenes = random_scenes(20, "any size")
    small, large = render(scenes, 32), render(scenes, 128)
    assert (torch.nn.functional.avg_pool2d(large, 4) - small).abs().mean() < 0.003


def test_a_scene_does_not_depend_on_its_batch():
    scenes = random_scenes(6, "batch")
    assert torch.equal(render(scenes)[2:3], render(scenes[2:3]))


def test_two_things_keep_a_gap():
    for scene in random_scenes(300, "gap"):
        if len(scene.things) == 2:
            first, second = scene.things
            apart = max(abs(first.x - second.x), abs(first.y - second.y))
            assert apart - SIZES[first.size] - SIZES[second.size] > 1.4 / 32


def test_crowded_pictures_repeat_from_their_seed():
    first, second = (render_dense(3, 32, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, second)
    assert first.shape == (3, 3, 32, 32)
    assert first.min() >= 0 and first.max() <= 1
