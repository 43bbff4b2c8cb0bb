# pyright: reportArgumentType=false

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from ladder import BRANCHES, STEPS, executed, run_patched, run_plain
from studio import Studio
from torch import Tensor

from latentloom.graph.node import NodeError
from latentloom.graph.progress import Progress
from latentloom.nodes.cache.deepcache import deepcache
from latentloom.nodes.cache.faster_diffusion import PAPER, FasterDiffusion, faster_diffusion, key_steps
from latentloom.nodes.guidance.adaptive_guidance import adaptive_guidance
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.schedule.sampler import sampler
from latentloom.nodes.schedule.schedule import schedule
from latentloom.nodes.types import Latent

BOTH = pytest.mark.parametrize("parallel", [False, True], ids=["serial", "parallel"])


def every(interval: int, parallel: bool = False) -> FasterDiffusion:
    return FasterDiffusion("uniform", interval, parallel=parallel)


@BOTH
def test_an_interval_of_one_changes_nothing(unet: UNet2DConditionModel, samples: list[Tensor], parallel: bool) -> None:
    ours, counts = run_patched(unet, every(1, parallel), samples)
    assert all(torch.equal(one, other) for one, other in zip(ours, run_plain(unet, samples), strict=True))
    assert not counts


@BOTH
def test_between_key_steps_the_sample_is_not_read(
    unet: UNet2DConditionModel, samples: list[Tensor], parallel: bool
) -> None:
    other = [sample if at % 4 == 0 else torch.randn_like(sample) for at, sample in enumerate(samples)]
    ours, counts = run_patched(unet, every(4, parallel), samples)
    assert all(torch.equal(a, b) for a, b in zip(ours, run_patched(unet, every(4, parallel), other)[0], strict=True))
    assert not torch.equal(ours[1], ours[2]), "the timestep is read"
    assert counts == {"encoder passes skipped": STEPS - 3}


def test_one_after_another_and_in_one_batch_are_the_same(unet: UNet2DConditionModel, samples: list[Tensor]) -> None:
    serial, parallel = (run_patched(unet, every(4, each), samples)[0] for each in (False, True))
    assert all(torch.allclose(a, b, rtol=0, atol=1e-5) for a, b in zip(serial, parallel, strict=True))


def test_it_is_what_a_forward_with_exchanged_residuals_gives(unet: UNet2DConditionModel, samples: list[Tensor]) -> None:
    """The UNet's own decoder, fed what its own encoder gave two steps before."""
    from ladder import TIMESTEPS, tokens

    kept: dict[str, Any] = {}
    hooks = []
    for number, block in enumerate([*unet.down_blocks, unet.mid_block]):
        hooks.append(block.register_forward_hook(lambda _, __, out, n=number: kept.setdefault(n, out)))
    hooks.append(unet.conv_in.register_forward_hook(lambda _, __, out: kept.setdefault("in", out)))
    try:  # the second call's blocks answer with what the first one's gave
        with torch.no_grad():
            for at in (0, 2):
                found = unet(samples[at], torch.tensor(TIMESTEPS[at]), encoder_hidden_states=tokens())[0]
    finally:
        for hook in hooks:
            hook.remove()
    ours, _ = run_patched(unet, every(5), samples)
    assert torch.equal(ours[2], found)


def test_the_encoder_runs_at_key_steps_alone(unet: UNet2DConditionModel, samples: list[Tensor]) -> None:
    calls = executed(unet, lambda: run_patched(unet, every(4), samples))
    assert len(calls) == 3, "the first convolution belongs to the encoder"
    hidden = [name for name in calls[0] if name.startswith(("down_blocks", "mid_block"))]
    assert hidden


def test_the_decoder_runs_once_for_all_steps_of_a_batch(unet: UNet2DConditionModel, samples: list[Tensor]) -> None:
    passes: list[int] = []
    hook = unet.conv_out.register_forward_hook(lambda _, given, __: passes.append(given[0].shape[0]))
    run_patched(unet, every(4, True), samples)
    hook.remove()
    assert passes == [8, 8, 4]


def test_the_papers_key_steps_are_stretched_to_the_run() -> None:
    paper = FasterDiffusion("paper", 1)
    assert key_steps(paper, 50) == set(PAPER)
    assert key_steps(paper, 100) == {2 * step for step in PAPER}
    assert max(key_steps(paper, 20)) == 14
    assert key_steps(FasterDiffusion("paper", 1, (3, 6)), 20) == {0, 3, 6}


def test_it_leaves_the_unet_as_it_was(unet: UNet2DConditionModel, samples: list[Tensor]) -> None:
    before = dict(unet.__dict__)
    run_patched(unet, every(4), samples)
    assert unet.__dict__ == before


@BOTH
def test_a_branch_that_is_no_longer_asked_does_not_disturb_the_other(
    unet: UNet2DConditionModel, samples: list[Tensor], parallel: bool
) -> None:
    both, _ = run_patched(unet, every(5, parallel), samples)
    fewer, counts = run_patched(unet, every(5, parallel), samples, lambda at: BRANCHES if at < 3 else BRANCHES[:1])
    assert counts == {"encoder passes skipped": 8}
    assert torch.allclose(fewer[4], both[4][:1], rtol=0, atol=1e-6)


# ---------------------------------------------------------------- in a run


def pictures(studio: Studio, **options: Any) -> tuple[Tensor, dict[str, Any]]:
    notes: dict[str, Any] = {}
    options = {"schedule": schedule(8), "sampler": sampler("dpmpp_2m"), "guidance": cfg(3), **options}
    progress = Progress(on_note=notes.update)
    model = options.pop("model", studio.model)
    return Studio(model, studio.folder, None).sample(2, progress=progress, **options).samples, notes


@BOTH
def test_an_interval_of_one_is_the_plain_run(studio: Studio, parallel: bool) -> None:
    plain, _ = pictures(studio)
    assert torch.equal(pictures(studio, model=faster_diffusion(studio.model, "uniform", 1, [], parallel))[0], plain)


def test_serial_and_parallel_runs_agree_and_differ_from_the_plain_one(studio: Studio) -> None:
    serial, notes = pictures(studio, model=faster_diffusion(studio.model, "uniform", 3))
    parallel, same = pictures(studio, model=faster_diffusion(studio.model, "uniform", 3, [], True))
    assert torch.allclose(serial, parallel, rtol=0, atol=1e-4)
    assert notes["encoder_passes_skipped"] == same["encoder_passes_skipped"] == 5
    assert not torch.allclose(serial, pictures(studio)[0], atol=1e-2)


@BOTH
def test_a_run_from_a_picture_leaves_nothing_for_the_next(studio: Studio, parallel: bool) -> None:
    cached = faster_diffusion(studio.model, "uniform", 3, [], parallel)
    alone, _ = pictures(studio, model=cached)
    pictures(studio, model=cached, latent=Latent(alone), strength=0.5)
    assert torch.equal(pictures(studio, model=cached)[0], alone)


def test_together_with_guidance_that_stops(studio: Studio) -> None:
    cached = faster_diffusion(studio.model, "uniform", 4, [], True)
    _, notes = pictures(studio, model=cached, guidance=adaptive_guidance(cfg(3), -1.0))
    assert notes["network_calls"] == 8 + 1
    assert notes["encoder_passes_skipped"] == 6


def test_it_does_not_go_with_another_that_decides_what_runs(sd: Studio) -> None:
    with pytest.raises(NodeError, match="Faster Diffusion and DeepCache both decide"):
        faster_diffusion(deepcache(sd.model))
