import torch

from latentloom.nodes.evaluate.draw_figure import draw_figure
from latentloom.nodes.types import Figure, Series

FALLING = Series("loss", (0.0, 1.0, 2.0), (1.0, 0.5, 0.1))


def test_it_has_the_size_asked_for():
    drawn = draw_figure(Figure("Loss", "step", "loss", (FALLING,)), 640, 400)
    assert drawn.pixels.shape == (1, 3, 400, 640)
    assert 0 <= drawn.pixels.min() < drawn.pixels.max() <= 1


def test_another_curve_is_another_picture():
    one, two = (
        draw_figure(Figure("Loss", "step", "loss", (Series("loss", (0.0, 1.0), y),))).pixels
        for y in ((1.0, 0.0), (0.0, 1.0))
    )
    assert not torch.equal(one, two)


def test_a_logarithmic_axis_shows():
    figure = Figure("Loss", "step", "loss", (FALLING,))
    assert not torch.equal(draw_figure(figure).pixels, draw_figure(figure, logarithmic=True).pixels)
