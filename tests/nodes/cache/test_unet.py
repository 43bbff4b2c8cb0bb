"""A UNet taken apart and put together again is the UNet, to the bit."""

# pyright: reportArgumentType=false

from __future__ import annotations

from typing import Any

import pytest
import torch
from ladder import small_unet, tokens

from latentloom.graph.node import NodeError
from latentloom.nodes.cache.unet import Ladder

VARIANTS: dict[str, dict[str, Any]] = {
    "sd": {},
    "linear projections": {"use_linear_projection": True},
    "one layer": {"layers_per_block": 1},
    "sdxl": {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 4,
        "projection_class_embeddings_input_dim": 24 + 6 * 4,
        "transformer_layers_per_block": (1, 2, 1),
    },
    "distilled": {"time_cond_proj_dim": 12},
}


@pytest.mark.parametrize("size", [(8, 8), (9, 13)], ids=["even", "odd"])
@pytest.mark.parametrize("name", VARIANTS)
def test_put_together_it_is_the_unet(name: str, size: tuple[int, int]) -> None:
    unet = small_unet(**VARIANTS[name])
    generator = torch.Generator().manual_seed(1)
    sample = torch.randn(2, 4, *size, generator=generator)
    told_with: dict[str, Any] = {"encoder_hidden_states": tokens()}
    if name == "sdxl":
        pooled = torch.randn(2, 24, generator=generator)
        told_with["added_cond_kwargs"] = {"text_embeds": pooled, "time_ids": torch.ones(2, 6)}
    if name == "distilled":
        told_with["timestep_cond"] = torch.randn(2, 12, generator=generator)
    ladder = Ladder(unet, "This test")
    with torch.no_grad():
        expected = unet(sample, torch.tensor(500), return_dict=False, **told_with)[0]
        told = ladder.told(sample, torch.tensor(500), **told_with)
        skips = ladder.descend(sample, told)
        hidden, _ = ladder.ascend(ladder.middle(skips[-1], told), skips, told, range(len(ladder) - 1, -1, -1))
        assert torch.equal(ladder.finish(hidden), expected)


def test_there_are_as_many_levels_as_skips() -> None:
    assert len(Ladder(small_unet(), "This test")) == 3 * 3
    assert len(Ladder(small_unet(layers_per_block=1), "This test")) == 2 * 3


def test_a_unet_of_other_blocks_is_refused_by_name() -> None:
    unet = small_unet(down_block_types=("CrossAttnDownBlock2D", "AttnDownBlock2D", "DownBlock2D"))
    with pytest.raises(NodeError, match=r"DeepCache knows the UNets of Stable Diffusion.*this one has AttnDownBlock2D"):
        Ladder(unet, "DeepCache")
