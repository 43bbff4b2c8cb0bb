from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, LayerSkipConfig
from diffusers.guiders import SkipLayerGuidance
from inside import alive
from studio import NEGATIVE, Studio

from latentloom.graph.node import NodeError
from latentloom.nodes.cache.first_block_cache import first_block_cache
from latentloom.nodes.cache.mag_cache import mag_cache
from latentloom.nodes.guidance.slg import slg
from latentloom.nodes.schedule.schedule import schedule

STEPS, SCALE, WEIGHT = 10, 4.0, 2.8


@pytest.mark.parametrize(("start", "stop"), [(0.01, 0.2), (0.3, 0.8)])
def test_a_picture_is_the_stock_pipelines(sd3: Studio, start: float, stop: float) -> None:
    """`StableDiffusion3Pipeline` leaves layers out by itself."""
    theirs = sd3.stock(
        FlowMatchEulerDiscreteScheduler(shift=3.0),
        2,
        negative=NEGATIVE,
        num_inference_steps=STEPS,
        guidance_scale=SCALE,
        skip_guidance_layers=[1],
        skip_layer_guidance_scale=WEIGHT,
        skip_layer_guidance_start=start,
        skip_layer_guidance_stop=stop,
    )
    guidance = slg(SCALE, WEIGHT, [1], start, stop)
    ours = sd3.ours(2, negative=NEGATIVE, schedule=schedule(STEPS), guidance=guidance)
    assert (ours - theirs).abs().max() <= 1e-4


@pytest.mark.parametrize(
    ("name", "fqn"), [("sd", "mid_block.attentions.0.transformer_blocks"), ("pixart", "transformer_blocks")]
)
def test_an_evaluation_is_what_diffusers_gives(name: str, fqn: str, request: pytest.FixtureRequest) -> None:
    """Its guider with its own hooks, which know these two, and are put on beside classifier-free guidance alone."""
    guider = SkipLayerGuidance(SCALE, WEIGHT, 0.0, 1.0, skip_layer_config=LayerSkipConfig([0], fqn))
    with alive(request.getfixturevalue(name)) as model:
        ours = model.guided(slg(SCALE, WEIGHT, [] if name == "sd" else [0], 0, 1))
        assert torch.allclose(ours, model.by_guider(guider), rtol=0, atol=1e-5)


@pytest.mark.parametrize("layer", [0, 2])
def test_a_cache_that_needs_the_layers_says_so(flux: Studio, layer: int) -> None:
    """First-Block Cache and MagCache tell by the first block, and keep behind the last one."""
    guidance = slg(SCALE, WEIGHT, [layer], 0, 1)
    for cached in (first_block_cache(flux.model), mag_cache(flux.model)):
        with pytest.raises(NodeError, match="leaves out the first or the last block"):
            replace(flux, model=cached).sample(guidance=guidance, distilled_guidance=3.0, schedule=schedule(3))
    between = slg(SCALE, WEIGHT, [1], 0, 1)
    replace(flux, model=first_block_cache(flux.model)).sample(
        guidance=between, distilled_guidance=3.0, schedule=schedule(3)
    )
