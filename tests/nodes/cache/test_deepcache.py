# pyright: reportArgumentType=false

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from DeepCache import DeepCacheSDHelper
from diffusers import UNet2DConditionModel
from ladder import BRANCHES, STEPS, TIMESTEPS, as_pipeline, executed, inputs, run_patched, run_plain, steps, tokens
from studio import Studio
from torch import Tensor

from latentloom.graph.node import NodeError
from latentloom.graph.progress import Progress
from latentloom.nodes.cache.deepcache import DeepCache, deepcache, full_steps
from latentloom.nodes.cache.step_cache import PerBranch
from latentloom.nodes.guidance.adaptive_guidance import adaptive_guidance
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.models.call import Call, under_way
from latentloom.nodes.schedule.sampler import sampler
from latentloom.nodes.schedule.schedule import schedule
from latentloom.nodes.types import Latent

LEVELS = 9


def by_the_package(unet: Any, samples: list[Tensor], interval: int, branch: int) -> list[Tensor]:
    helper = DeepCacheSDHelper(as_pipeline(unet))
    helper.set_params(cache_interval=interval, cache_branch_id=branch)
    helper.enable()
    try:
        with torch.no_grad():
            return [
                unet(sample, torch.tensor(t), encoder_hidden_states=tokens(), return_dict=False)[0]
                for sample, t in zip(samples, TIMESTEPS, strict=True)
            ]
    finally:
        helper.disable()


@pytest.mark.parametrize("interval", [2, 3, 5])
@pytest.mark.parametrize("branch", range(LEVELS))
def test_it_is_what_the_authors_package_gives(
    unet: UNet2DConditionModel, samples: list[Tensor], interval: int, branch: int
) -> None:
    ours, _ = run_patched(unet, DeepCache(interval, branch), samples)
    theirs = by_the_package(unet, samples, interval, branch)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize("branch", [0, 4])
def test_an_interval_of_one_changes_nothing(unet: UNet2DConditionModel, samples: list[Tensor], branch: int) -> None:
    ours, counts = run_patched(unet, DeepCache(1, branch), samples)
    assert all(torch.equal(one, other) for one, other in zip(ours, run_plain(unet, samples), strict=True))
    assert not counts


@pytest.mark.parametrize("branch", range(LEVELS))
def test_a_skip_right_after_a_full_step_is_that_step(unet: UNet2DConditionModel, branch: int) -> None:
    """What was kept is what that step computed, as long as sample and timestep are the same."""
    sample, step = inputs()[0], steps()[0]
    with DeepCache(2, branch).attach("unet", unet), torch.no_grad():
        found = []
        for at in range(2):
            with under_way(Call([step, step], at, BRANCHES, Counter())):
                found.append(unet(sample, step.timestep, encoder_hidden_states=tokens(), return_dict=False)[0])
    assert torch.equal(*found)


def up(block: int, resnet: int) -> str:
    return f"up_blocks.{block}.resnets.{resnet}"


RUN_ON_A_SKIP = {
    0: {up(2, 2)},
    1: {up(2, 2), up(2, 1), "down_blocks.0.resnets.0"},
    2: {up(2, 2), up(2, 1), up(2, 0), "down_blocks.0.resnets.0", "down_blocks.0.resnets.1"},
    3: {up(2, 2), up(2, 1), up(2, 0), up(1, 2), "down_blocks.0.resnets.0", "down_blocks.0.resnets.1"},
}


@pytest.mark.parametrize("branch", RUN_ON_A_SKIP)
def test_a_skip_runs_the_outermost_levels_alone(unet: UNet2DConditionModel, samples: list[Tensor], branch: int) -> None:
    calls = executed(unet, lambda: run_patched(unet, DeepCache(3, branch), samples))
    everything = {name for name, module in unet.named_modules() if type(module).__name__ == "ResnetBlock2D"}
    for at, names in enumerate(calls):
        resnets = {name for name in names if ".resnets." in name}
        assert resnets == (everything if at % 3 == 0 else RUN_ON_A_SKIP[branch])
    assert ("down_blocks.0.downsamplers.0" in calls[1]) == ("up_blocks.1.upsamplers.0" in calls[1]) == (branch == 3)


@pytest.mark.parametrize(("interval", "skipped"), [(2, 5), (3, 6), (5, 8), (50, 9)])
def test_what_was_skipped_is_counted(
    unet: UNet2DConditionModel, samples: list[Tensor], interval: int, skipped: int
) -> None:
    assert run_patched(unet, DeepCache(interval, 0), samples)[1] == {"deep levels skipped": skipped}
    assert STEPS - skipped == -(-STEPS // interval)


def test_what_is_kept_matters(unet: UNet2DConditionModel, samples: list[Tensor], monkeypatch: Any) -> None:
    found, _ = run_patched(unet, DeepCache(2, 0), samples)
    put = PerBranch.put
    monkeypatch.setattr(PerBranch, "put", lambda self, which, kept: put(self, which, [0 * each for each in kept]))
    zeroed, _ = run_patched(unet, DeepCache(2, 0), samples)
    assert torch.equal(found[0], zeroed[0])
    assert not torch.allclose(found[1], zeroed[1])


def test_it_leaves_the_unet_as_it_was(unet: UNet2DConditionModel, samples: list[Tensor]) -> None:
    before = dict(unet.__dict__)
    run_patched(unet, DeepCache(3, 1), samples)
    assert unet.__dict__ == before
    assert all(torch.equal(a, b) for a, b in zip(run_plain(unet, samples), run_plain(unet, samples), strict=True))


def test_a_branch_that_is_no_longer_asked_does_not_disturb_the_other(
    unet: UNet2DConditionModel, samples: list[Tensor]
) -> None:
    both, _ = run_patched(unet, DeepCache(5, 1), samples)
    fewer, counts = run_patched(unet, DeepCache(5, 1), samples, lambda at: BRANCHES if at < 3 else BRANCHES[:1])
    assert counts == {"deep levels skipped": 8}
    assert torch.allclose(fewer[4], both[4][:1], rtol=0, atol=1e-6)


def test_a_branch_that_was_not_kept_runs_everything(unet: UNet2DConditionModel, samples: list[Tensor]) -> None:
    found, counts = run_patched(unet, DeepCache(10, 1), samples, lambda at: BRANCHES[:1] if at < 2 else BRANCHES)
    assert counts == {"deep levels skipped": 1 + 7}
    assert torch.allclose(found[2], run_plain(unet, samples)[2], rtol=0, atol=1e-6)


def test_outside_of_a_run_it_does_nothing(unet: UNet2DConditionModel, samples: list[Tensor]) -> None:
    with DeepCache(5, 0).attach("unet", unet):
        assert all(torch.equal(a, b) for a, b in zip(run_plain(unet, samples), run_plain(unet, samples), strict=True))


# ---------------------------------------------------------------- which steps are full


def test_named_steps_are_full_and_always_the_first() -> None:
    assert full_steps(DeepCache(1, 0, full_steps=(4, 7)), 10) == {0, 4, 7}


def test_the_first_ones_may_all_be_full() -> None:
    assert full_steps(DeepCache(4, 0, first_full=3), 12) == {0, 1, 2, 4, 8}


@pytest.mark.parametrize("interval", [3, 5, 8])
def test_quadratic_steps_are_as_many_and_densest_at_the_centre(interval: int) -> None:
    full = sorted(full_steps(DeepCache(interval, 0, "quadratic", 15.0, 1.4), 50))
    assert len(full) <= -(-50 // interval)
    gaps = [after - before for before, after in pairwise(full)]
    assert gaps[0] > min(gaps) < gaps[-1]
    assert abs(full[gaps.index(min(gaps))] - 15) <= 3


# ---------------------------------------------------------------- in a run


def pictures(studio: Studio, **options: Any) -> tuple[Tensor, dict[str, Any]]:
    notes: dict[str, Any] = {}
    cached = replace(studio, model=options.pop("model", studio.model))
    progress = Progress(on_note=notes.update)
    options = {"schedule": schedule(8), "sampler": sampler("ddim"), "guidance": cfg(3), **options}
    latent = cached.sample(2, progress=progress, **options)
    return latent.samples, notes


def test_an_interval_of_one_is_the_plain_run(studio: Studio) -> None:
    cached, notes = pictures(studio, model=deepcache(studio.model, 1, 0))
    assert torch.equal(cached, pictures(studio)[0])
    assert "deep_levels_skipped" not in notes


def test_a_run_reports_what_it_skipped_and_changes_the_picture(studio: Studio) -> None:
    cached, notes = pictures(studio, model=deepcache(studio.model, 3, 0))
    assert notes["deep_levels_skipped"] == 5
    assert not torch.equal(cached, pictures(studio)[0])


def test_a_run_from_a_picture_leaves_nothing_for_the_next(studio: Studio) -> None:
    cached = deepcache(studio.model, 3, 0)
    alone, _ = pictures(studio, model=cached)
    _, notes = pictures(studio, model=cached, latent=Latent(alone), strength=0.5)
    assert notes["deep_levels_skipped"] == 2
    assert torch.equal(pictures(studio, model=cached)[0], alone)


def test_together_with_guidance_that_stops(studio: Studio) -> None:
    """From the step on at which the unconditional branch is dropped, only the other's features are taken."""
    _, notes = pictures(studio, model=deepcache(studio.model, 4, 0), guidance=adaptive_guidance(cfg(3), -1.0))
    assert notes["network_calls"] == 8 + 1
    assert notes["deep_levels_skipped"] == 6


def test_two_methods_that_decide_what_runs_are_refused(sd: Studio) -> None:
    with pytest.raises(NodeError, match="DeepCache and DeepCache both decide"):
        deepcache(deepcache(sd.model))


def test_a_branch_there_is_not_is_refused(sd: Studio) -> None:
    with pytest.raises(NodeError, match="branch 11 is too deep: this UNet has 4 levels"):
        pictures(sd, model=deepcache(sd.model, 3, 11))
