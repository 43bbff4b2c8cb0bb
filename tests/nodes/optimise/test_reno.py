"""The noise found makes pictures that the reward likes better, at the cost told; the model is left as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from studio import PROMPT, Studio
from torch import Tensor, nn

from latentloom.graph.node import NodeError
from latentloom.graph.progress import Cancelled, Progress
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.models.live import use
from latentloom.nodes.optimise.optimised import Optimised
from latentloom.nodes.optimise.reno import reno
from latentloom.nodes.prompt.encode_prompt import encode_prompt
from latentloom.nodes.reward.attribute_reward import attribute_reward
from latentloom.nodes.reward.colourfulness_reward import colourfulness, colourfulness_reward
from latentloom.nodes.reward.weighted_reward import weighted_reward
from latentloom.nodes.schedule.sampler import sampler
from latentloom.nodes.schedule.schedule import schedule
from latentloom.nodes.types import Image, Model, Noise, Patch, Prompts

RUN: dict[str, Any] = {"schedule": schedule(2), "sampler": sampler("euler_ancestral"), "guidance": cfg(1)}


def climbed(studio: Studio, pictures: int = 1, model: Model | None = None, **options: Any) -> Optimised:
    given = {"reward": colourfulness_reward(), "prompts": Prompts((PROMPT,)), "iterations": 4, **RUN, **options}
    noise = given.pop("noise", None) or studio.noise(pictures)
    return reno(model or studio.model, noise, encode_prompt(studio.model, PROMPT), **given)


def reward_of(studio: Studio, noise: Noise, **options: Any) -> float:
    return colourfulness(studio.ours(noise=noise, **{**RUN, **options})).item()


def row(found: Optimised, number: int = 0) -> dict[str, Any]:
    return dict(zip(found.table.columns, found.table.rows[number], strict=True))


def test_without_iterations_it_is_the_plain_run(sd: Studio) -> None:
    found = climbed(sd, 2, iterations=0)
    assert torch.equal(found.noise.samples, sd.noise(2).samples) and found.noise.seeds == sd.noise(2).seeds
    assert row(found)["network_calls"] == 0 and found.figure.series[0].x == ()


def test_the_noise_found_makes_the_best_picture(sd: Studio) -> None:
    found = climbed(sd)
    best = found.figure.series[0].y
    assert list(best) == sorted(best) and best[-1] > best[0]
    assert best[0] == pytest.approx(reward_of(sd, sd.noise()), abs=1e-5)
    assert best[-1] == pytest.approx(reward_of(sd, found.noise), abs=1e-5)
    assert not found.noise.samples.requires_grad


def test_the_same_again_and_each_picture_as_alone(sd: Studio) -> None:
    both, again = climbed(sd, 2, iterations=3), climbed(sd, 2, iterations=3)
    assert torch.equal(both.noise.samples, again.noise.samples)
    second = climbed(sd, noise=Noise(sd.noise(2).samples[1:].clone(), (12,)), iterations=3)
    assert torch.equal(second.noise.samples, both.noise.samples[1:])


def test_calls_are_iterations_times_steps_times_branches(sd: Studio) -> None:
    notes: dict[str, Any] = {}
    told: list[tuple[int, int, str]] = []
    shown: list[Image] = []

    def tell(done: int, total: int, label: str, preview: Any) -> None:
        if label.startswith("reward"):
            told.append((done, total, label))
            shown.append(preview())

    found = climbed(sd, 2, iterations=3, guidance=cfg(3), progress=Progress(tell, notes.update))
    assert [row(found, number)["network_calls"] for number in (0, 1)] == [3 * 2 * 2] * 2
    assert notes["network_calls"] == 24 and notes["backward_passes"] == 2 * 2 and notes["tried"] == 6
    assert notes["ended"] == ["all iterations done"] * 2 and notes["seconds"] > 0
    assert [done for done, _, _ in told] == [1, 2, 3, 4, 5, 6] and told[0][1] == 6
    assert all(each.pixels.shape == (1, 3, 40, 32) for each in shown)
    assert not torch.equal(shown[0].pixels[..., :32, :], shown[2].pixels[..., :32, :])


def test_it_stops_when_good_enough(sd: Studio) -> None:
    plain = reward_of(sd, sd.noise())
    found = climbed(sd, good_enough=plain - 1e-4)
    assert row(found)["tried"] == 1 and row(found)["backward_passes"] == 0
    assert torch.equal(found.noise.samples, sd.noise().samples)


@pytest.mark.parametrize("family", ["sdxl", "sd3", "flux", "pixart"])
def test_gradients_flow_through_every_family(family: str, request: pytest.FixtureRequest) -> None:
    studio: Studio = request.getfixturevalue(family)
    options = {"sampler": sampler("euler"), "iterations": 2, "schedule": schedule(1)}
    plain, checkpointed = climbed(studio, **options), climbed(studio, **options, checkpointing=True)
    assert plain.figure.series[0].y[-1] > plain.figure.series[0].y[0]
    torch.testing.assert_close(checkpointed.noise.samples, plain.noise.samples)


@contextmanager
def kept_bytes() -> Iterator[list[int]]:
    """Of all that is kept for gradients, weights aside."""
    sizes: list[int] = []

    def keep(tensor: Tensor) -> Tensor:
        sizes.append(0 if isinstance(tensor, nn.Parameter) else tensor.nbytes)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield sizes


def test_checkpointing_keeps_less_and_finds_the_same(sd: Studio) -> None:
    with kept_bytes() as all_kept:
        plain = climbed(sd)
    with kept_bytes() as few_kept:
        checkpointed = climbed(sd, checkpointing=True)
    torch.testing.assert_close(checkpointed.noise.samples, plain.noise.samples)
    assert row(checkpointed)["network_calls"] == row(plain)["network_calls"]
    assert 0 < sum(few_kept) < sum(all_kept) / 2


# ---------------------------------------------------------------- the model is left as it was


def weights(model: Model) -> dict[str, Tensor]:
    with use(model) as parts:
        return {
            f"{kind}.{name}": value.clone()
            for kind, module in (("unet", parts.unet), ("vae", parts.vae))
            for name, value in module.state_dict().items()
        }


def is_idle(model: Model) -> bool:
    """No gradient anywhere, and nothing computed again."""
    with use(model) as parts:
        modules = [*parts.unet.modules(), *parts.vae.modules()]
        parameters = [*parts.unet.parameters(), *parts.vae.parameters()]
    return not any(getattr(module, "gradient_checkpointing", False) for module in modules) and not any(
        parameter.requires_grad or parameter.grad is not None for parameter in parameters
    )


def test_weights_stay_as_they_are(sd: Studio) -> None:
    before = weights(sd.model)
    climbed(sd, checkpointing=True)
    after = weights(sd.model)
    assert all(torch.equal(before[name], after[name]) for name in before) and is_idle(sd.model)


def test_it_is_left_so_when_it_is_cancelled(sd: Studio) -> None:
    def cancel(done: int, *_: Any) -> None:
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        climbed(sd, checkpointing=True, progress=Progress(cancel))
    assert is_idle(sd.model)
    assert not sd.sample(schedule=schedule(1)).samples.requires_grad


@dataclass(frozen=True)
class Scaled(Patch):
    """The outputs of the blocks that are checkpointed, scaled; `drifting`: each time by another factor."""

    drifting: bool = False

    @contextmanager
    def attach(self, part: str, module: Any) -> Iterator[None]:
        times = 0

        def scaled(block: nn.Module, given: Any, found: Tensor) -> Tensor:
            nonlocal times
            times += 1
            return found * (1 + 0.1 * times if self.drifting else 1.5)

        hook = module.mid_block.resnets[-1].register_forward_hook(scaled)
        try:
            yield
        finally:
            hook.remove()


def test_patches_are_on_for_the_gradient_too(sd: Studio) -> None:
    patched = replace(sd.model, patches=(Scaled(),))
    plain, again = climbed(sd, model=patched), climbed(sd, model=patched, checkpointing=True)
    torch.testing.assert_close(again.noise.samples, plain.noise.samples)
    assert not torch.allclose(plain.noise.samples, climbed(sd).noise.samples)


def test_a_patch_that_does_something_else_when_asked_again_is_refused(sd: Studio) -> None:
    drifting = replace(sd.model, patches=(Scaled(drifting=True),))
    with pytest.raises(NodeError, match="something else when it is asked again"):
        climbed(sd, model=drifting, checkpointing=True)
    assert is_idle(sd.model)


@dataclass(frozen=True)
class Fading(Patch):
    """Weights that are changed in place before each step."""

    @contextmanager
    def attach(self, part: str, module: Any) -> Iterator[None]:
        weight = module.conv_out.weight
        base = weight.detach().clone()

        def fade(*_: Any) -> None:
            with torch.no_grad():
                weight.mul_(0.9)

        hook = module.register_forward_pre_hook(fade)
        try:
            yield
        finally:
            hook.remove()
            with torch.no_grad():
                weight.copy_(base)


def test_weights_that_change_from_step_to_step_are_refused_and_for_one_step_are_not(sd: Studio) -> None:
    fading = replace(sd.model, patches=(Fading(),))
    with pytest.raises(NodeError, match="changes its weights from step to step"):
        climbed(sd, model=fading)
    assert row(climbed(sd, model=fading, schedule=schedule(1)))["backward_passes"] == 3


# ---------------------------------------------------------------- rewards


def test_a_rule_is_refused_and_may_help_to_choose(sd: Studio) -> None:
    told = {"prompts": Prompts(("a red circle",)), "iterations": 2}
    with pytest.raises(NodeError, match="best_of_noises, which needs no gradient"):
        climbed(sd, reward=attribute_reward(), **told)
    both = weighted_reward((attribute_reward(), colourfulness_reward()), [1.0, 1.0])
    assert row(climbed(sd, reward=both, **told))["backward_passes"] == 1


def test_prompts_that_are_not_as_many_are_refused(sd: Studio) -> None:
    with pytest.raises(NodeError, match="2 prompts for 3 pictures"):
        climbed(sd, 3, prompts=Prompts((PROMPT, PROMPT)))
