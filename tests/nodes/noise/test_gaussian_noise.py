from __future__ import annotations

import torch

from latentloom.nodes.noise.gaussian_noise import gaussian_noise
from latentloom.nodes.types import Latent


def test_image_i_is_drawn_with_its_own_seed() -> None:
    together = gaussian_noise(Latent(torch.zeros(3, 4, 5, 6)), seed=7)
    assert together.seeds == (7, 8, 9)
    for index, seed in enumerate(together.seeds):
        alone = gaussian_noise(Latent(torch.zeros(1, 4, 5, 6)), seed)
        assert torch.equal(together.samples[index : index + 1], alone.samples)


def test_it_is_the_first_draw_of_a_stock_pipeline() -> None:
    from diffusers.utils.torch_utils import randn_tensor

    stock = randn_tensor((2, 4, 8, 8), [torch.Generator("cpu").manual_seed(seed) for seed in (3, 4)])
    assert torch.equal(gaussian_noise(Latent(torch.zeros(2, 4, 8, 8)), 3).samples, stock)
