"""Factors are learnt beside frozen weights, resumed bit for bit, and are a LoRA like any other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from studio import Studio
from torch import Tensor

from latentloom.graph.files import Files
from latentloom.graph.node import NodeError
from latentloom.nodes.image.pixels import to_pictures
from latentloom.nodes.lora.apply_lora import apply_lora
from latentloom.nodes.lora.skeleton import skeleton
from latentloom.nodes.lora.trainable import Learning, Trainable, chosen
from latentloom.nodes.models.live import use
from latentloom.nodes.schedule.schedule import schedule
from latentloom.nodes.train.captioned import of_shapes
from latentloom.nodes.train.loop import Descent
from latentloom.nodes.train.lora import encode, fit_lora
from latentloom.nodes.train.train_lora import TrainedLora, train_lora
from latentloom.nodes.types import Image, Prompts

TINY: dict[str, Any] = {"rank": 2, "steps": 3, "batch": 2, "rate": 0.01}


def trained(studio: Studio, place: Path, **options: Any) -> TrainedLora:
    return train_lora(studio.model, **{**TINY, **options}, files=Files({"input": [place]}, writing=place))


def weights(studio: Studio) -> dict[str, Tensor]:
    with use(studio.model) as parts:
        return {name: value.clone() for name, value in parts.denoiser.state_dict().items()}


@pytest.mark.parametrize("family", ["sd", "sdxl", "sd3", "flux", "pixart"])
def test_every_family_learns_and_is_left_as_it_was(family: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    studio = request.getfixturevalue(family)
    before = weights(studio)
    pictures, captions = Image(torch.rand(3, 3, 32, 32)), Prompts(("a red circle", "a blue square", "a star"))
    found = trained(studio, tmp_path, pictures=pictures, captions=captions, rate=0.1)
    assert found.samples.pixels.shape == (3, 3, 32, 32)
    assert len(found.losses.series[0].x) == 3
    after = weights(studio)
    assert all(torch.equal(after[name], value) for name, value in before.items())
    plain = studio.sample(schedule=schedule(3)).samples
    changed = replace(studio, model=apply_lora(studio.model, found.lora)).sample(schedule=schedule(3)).samples
    assert not torch.allclose(changed, plain, atol=1e-4)


def test_a_killed_run_resumes_to_the_same_factors(sd: Studio, tmp_path: Path) -> None:
    def fitted(name: str, **options: Any) -> dict[str, Tensor]:
        torch.manual_seed(0)
        factors = Trainable(chosen(skeleton(sd.model)["unet"], "attention"), 2, 2.0)
        with use(replace(sd.model, patches=(Learning(factors),))) as parts:
            lesson = encode(parts, of_shapes(4, 32, 0), 0)
            return fit_lora(tmp_path / name, parts, factors, lesson, Descent(4, 0.01, 1), 2, **options).weights

    whole = fitted("whole")
    fitted("killed", stop_after=2)
    resumed = fitted("killed")
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())
    assert any(value.abs().max() > 0 for name, value in whole.items() if name.startswith("up"))


def test_what_is_learnt_fits_the_pictures(sd: Studio, tmp_path: Path) -> None:
    found = trained(sd, tmp_path, steps=25, batch=8, rate=0.1, targets="all")
    losses = found.losses.series[0].y
    assert sum(losses[-8:]) < 0.9 * sum(losses[:8])


def test_it_begins_as_the_model_and_is_what_diffusers_loads(sd: Studio, tmp_path: Path) -> None:
    """In linear layers and convolutions."""
    layers = chosen(skeleton(sd.model)["unet"], "all")
    factors = Trainable(layers, 3, 6.0)
    given = (torch.randn(2, 4, 8, 8), 500, torch.randn(2, 5, 16))
    with use(sd.model) as parts, torch.no_grad():
        plain = parts.unet(*given).sample
        with factors.beside(parts.unet):
            assert torch.equal(parts.unet(*given).sample, plain)
            for up in factors.up:
                up.normal_(std=0.1)
            found = parts.unet(*given).sample
        assert torch.equal(parts.unet(*given).sample, plain)
    lora = factors.save(tmp_path / "lora.safetensors", sd.model, "unet")
    pipeline: Any = diffusers.DiffusionPipeline.from_pretrained(sd.folder, dtype=torch.float32)
    pipeline.load_lora_weights(lora.source, adapter_name="one")
    with torch.no_grad():
        assert torch.allclose(pipeline.unet(*given).sample, found, atol=1e-5)
    assert not torch.allclose(found, plain, atol=1e-2)


def test_a_folder_of_captioned_pictures(sd: Studio, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, picture in enumerate(to_pictures(torch.rand(3, 3, 40, 50))):
        picture.save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"caption {number}\n")
    assert trained(sd, tmp_path, folder="pictures", checkpointing=True).samples.pixels.shape == (3, 3, 32, 32)
    (folder / "1.txt").unlink()
    with pytest.raises(NodeError, match=r"lacks captions: 1\.txt"):
        trained(sd, tmp_path, folder="pictures", name="again")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NodeError, match="has no pictures"):
        trained(sd, tmp_path, folder="empty", name="again")


def test_what_does_not_go_together_is_told(sd: Studio, tmp_path: Path) -> None:
    pictures = Image(torch.rand(3, 3, 32, 32))
    with pytest.raises(NodeError, match="2 captions for 3 pictures"):
        trained(sd, tmp_path, pictures=pictures, captions=Prompts(("a", "b")))
    with pytest.raises(NodeError, match="give one of them"):
        trained(sd, tmp_path, pictures=pictures, folder="pictures")
    with pytest.raises(NodeError, match="but no pictures"):
        trained(sd, tmp_path, captions=Prompts(("a",)))
    trained(sd, tmp_path, pictures=pictures, captions=Prompts(("a",)), steps=1)
    with pytest.raises(NodeError, match="of another rank"):
        trained(sd, tmp_path, pictures=pictures, captions=Prompts(("a",)), rank=3)
    with pytest.raises(NodeError, match="takes multiples of 4"):
        trained(sd, tmp_path, pictures=Image(torch.rand(1, 3, 30, 32)), captions=Prompts(("a",)))
