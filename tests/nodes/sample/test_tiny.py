"""The tiny pipelines answer to what comparisons turn: prompt, guidance, seed."""

# pyright: reportArgumentType=false, reportCallIssue=false

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import DiffusionPipeline


@pytest.mark.parametrize("family", ["tiny_sd", "tiny_sdxl"])
def test_pictures_answer_to_every_input(family: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(family)
    pipeline = DiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)

    def picture(prompt: str = "a red circle", scale: float = 5.0, seed: int = 0, **options: object) -> torch.Tensor:
        return pipeline(
            prompt,
            num_inference_steps=4,
            guidance_scale=scale,
            generator=torch.Generator().manual_seed(seed),
            output_type="pt",
            **options,
        ).images

    plain = picture()
    assert plain.shape == (1, 3, 32, 32)
    assert plain.std() > 0.05
    for changed in (picture("blue square"), picture(scale=5.5), picture(seed=1), picture(negative_prompt="ugly")):
        assert (changed - plain).abs().max() > 0.01
