"""How far pictures are apart in the eyes of the network that ships."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from latentloom.nodes.shapes.features import SHIPPED, Reader, distance, load, save, shipped
from latentloom.nodes.shapes.render import render
from latentloom.nodes.shapes.scene import Scene, held_out_scenes
from latentloom.nodes.train.features import accuracy

COUNT = 24
SCENES = held_out_scenes(COUNT, "features")


def pictures(size: int = 32) -> Tensor:
    return render(SCENES, size)


def noisy(given: Tensor, deviation: float) -> Tensor:
    return given + deviation * torch.randn(given.shape, generator=torch.Generator().manual_seed(0))


def changed(**looks: tuple[str, ...]) -> Tensor:
    """The pictures with the first thing of other looks: of some words the first that no thing has."""

    def other(scene: Scene) -> Scene:
        first, *rest = scene.things
        new = {
            name: next(word for word in words if word not in [getattr(thing, name) for thing in scene.things])
            for name, words in looks.items()
        }
        return replace(scene, things=(replace(first, **new), *rest))

    return render([other(scene) for scene in SCENES])


def test_equal_pictures_are_not_apart() -> None:
    assert distance(pictures(), pictures()).tolist() == [0.0] * COUNT


def test_it_is_the_same_both_ways_and_bounded() -> None:
    there, back = distance(pictures(), pictures().flip(0)), distance(pictures().flip(0), pictures())
    assert torch.allclose(there, back)
    assert 0 < float(there.min()) <= float(there.max()) <= 2


def test_it_is_the_mean_over_layers_of_squared_differences_of_directions() -> None:
    one, two = pictures()[:2], pictures()[2:4]
    reader, total = shipped(), torch.zeros(2)
    for a, b in zip(reader.features(one), reader.features(two), strict=True):
        for image in range(2):
            cosine = torch.nn.functional.cosine_similarity(a[image], b[image], dim=0)
            total[image] += (2 - 2 * cosine).mean() / 6
    assert torch.allclose(distance(one, two), total, atol=1e-5)


def test_it_grows_with_noise() -> None:
    apart = torch.stack([distance(pictures(), noisy(pictures(), level)) for level in (0.002, 0.01, 0.05, 0.2)])
    assert (apart.diff(dim=0) > 0).all()


def test_it_grows_with_blur() -> None:
    blurred, apart = pictures(), [torch.zeros(COUNT)]
    for _ in range(3):
        blurred = avg_pool2d(blurred, 3, 1, 1, count_include_pad=False)
        apart.append(distance(pictures(), blurred))
    assert (torch.stack(apart).diff(dim=0) > 0).all()


@pytest.mark.parametrize(
    "looks",
    [
        {"colour": ("red", "blue", "lime")},
        {"shape": ("circle", "cross", "triangle")},
        {"size": ("small", "large")},
    ],
    ids=lambda looks: next(iter(looks)),
)
def test_another_look_counts_more_than_noise_nobody_sees(looks: dict[str, tuple[str, ...]]) -> None:
    """Noise of a 255th, what rounding to bytes makes; for every picture."""
    unseen = distance(pictures(), noisy(pictures(), 1 / 255))
    if "size" in looks:
        scenes = [replace(scene, things=(_resized(scene), *scene.things[1:])) for scene in SCENES]
        apart = distance(pictures(), render(scenes))
    else:
        apart = distance(pictures(), changed(**looks))
    assert (apart > 3 * unseen).all()


def test_more_wrong_is_further() -> None:
    one = distance(pictures(), changed(colour=("red", "blue", "lime")))
    both = distance(
        pictures(),
        changed(colour=("red", "blue", "lime"), shape=("circle", "cross", "triangle")),
    )
    assert float((both > one).float().mean()) > 0.9


@pytest.mark.parametrize(("height", "width"), [(64, 64), (33, 47), (8, 128)])
def test_pictures_of_any_size(height: int, width: int) -> None:
    several = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    assert distance(several, several).tolist() == [0.0, 0.0]
    assert (distance(several, several.flip(0)) > 0).all()


def test_the_network_that_ships_reads_the_world() -> None:
    right = accuracy(shipped(), held_out_scenes(60, "reading"), 32)
    assert min(right.values()) > 0.95, right


def test_it_is_small() -> None:
    assert SHIPPED.stat().st_size < 1_000_000


def test_what_is_saved_is_read_again(tmp_path) -> None:
    torch.manual_seed(0)
    made = Reader()
    save(made, tmp_path / "new" / "model.safetensors")
    found = load(tmp_path / "new" / "model.safetensors")
    for one, other in zip(made.state_dict().values(), found.state_dict().values(), strict=True):
        assert torch.allclose(one, other, atol=1e-3)
    assert not any(weight.requires_grad for weight in found.parameters())


def _resized(scene: Scene):
    first = scene.things[0]
    return replace(first, size="small" if first.size == "large" else "large")
