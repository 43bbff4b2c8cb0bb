from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import diffusers
import pytest
import torch
from diffusers import LayerSkipConfig
from diffusers.guiders import PerturbedAttentionGuidance
from inside import alive
from studio import NEGATIVE, Studio

from latentloom.graph.node import NodeError
from latentloom.nodes.cache.region_adaptive import region_adaptive
from latentloom.nodes.guidance.pag import own_values, pag
from latentloom.nodes.models.attentions import blocks
from latentloom.nodes.schedule.schedule import schedule

STEPS, SCALE, WEIGHT = 5, 4.0, 3.0


@pytest.mark.parametrize("scale", [SCALE, 1.0])
def test_a_picture_is_the_stock_pipelines(studio: Studio, scale: float) -> None:
    """`StableDiffusionPAGPipeline` and that of XL, whose own layers are those in the middle."""
    pipeline = diffusers.AutoPipelineForText2Image.from_pipe(studio.pipeline, enable_pag=True)
    config = json.loads((studio.folder / "scheduler" / "scheduler_config.json").read_text("utf-8"))
    scheduler = getattr(diffusers, config["_class_name"]).from_config(config)
    before = dict(studio.pipeline.unet.attn_processors)
    theirs = studio.stock(
        scheduler, 2, pipeline, negative=NEGATIVE, num_inference_steps=STEPS, guidance_scale=scale, pag_scale=WEIGHT
    )
    studio.pipeline.unet.set_attn_processor(before)
    ours = studio.ours(2, negative=NEGATIVE, schedule=schedule(STEPS), guidance=pag(scale, WEIGHT))
    assert (ours - theirs).abs().max() <= 1e-4


@pytest.mark.parametrize(
    ("name", "fqn"), [("sd", "mid_block.attentions.0.transformer_blocks"), ("pixart", "transformer_blocks")]
)
def test_an_evaluation_is_what_diffusers_gives(name: str, fqn: str, request: pytest.FixtureRequest) -> None:
    """Its guider with its own hooks, which know these two, and are put on beside classifier-free guidance alone."""
    config = LayerSkipConfig([0], fqn, skip_attention=False, skip_attention_scores=True, skip_ff=False)
    guider = PerturbedAttentionGuidance(SCALE, WEIGHT, 0.0, 1.0, perturbed_guidance_config=config)
    with alive(request.getfixturevalue(name)) as model:
        ours = model.guided(pag(SCALE, WEIGHT, [] if name == "sd" else [0]))
        assert torch.allclose(ours, model.by_guider(guider), rtol=0, atol=1e-5)


def test_tokens_see_only_themselves(sd: Studio) -> None:
    """What one token gives does not depend on the others."""
    with alive(sd) as model:
        block: Any = blocks(model.denoiser)[-1]
        tokens, changed = torch.randn(1, 16, 16), torch.randn(1, 16, 16)
        changed[:, 5] = tokens[:, 5]
        with own_values([block]):
            seen = [block.attn1(each) for each in (tokens, changed)]
        assert torch.allclose(seen[0][:, 5], seen[1][:, 5], rtol=0, atol=1e-6)
        assert not torch.allclose(block.attn1(tokens)[:, 5], block.attn1(changed)[:, 5], atol=1e-3)
        expected = block.attn1.to_out[0](block.attn1.to_v(tokens))
        assert torch.allclose(seen[0], expected, rtol=0, atol=1e-6)


def test_an_attention_that_is_not_diffusers_own_is_told_of(sd3: Studio) -> None:
    regional = replace(sd3, model=region_adaptive(sd3.model))
    with pytest.raises(NodeError, match="PAG changes attention itself, and KeepingAttention computes it here"):
        regional.sample(guidance=pag(), schedule=schedule(3), preview=False)
