"""The guidances of diffusers, against its classes driven by hand, and against plain guidance where they are that."""

from __future__ import annotations

import pytest
import torch
from diffusers.guiders import (
    AdaptiveProjectedGuidance,
    ClassifierFreeZeroStarGuidance,
    TangentialClassifierFreeGuidance,
)
from toy import NEGATIVE, POSITIVE, Network, start, steps, walk

from latentloom.nodes.guidance.apg import apg
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.guidance.cfg_zero_star import cfg_zero_star
from latentloom.nodes.guidance.tangential_cfg import tangential_cfg
from latentloom.nodes.types import Guidance


def by_hand(guider) -> torch.Tensor:
    """A run driven through the guider's own protocol."""
    network, sample = Network(), start()
    for step in steps():
        guider.set_state(step.index, step.total, step.timestep)
        data = {"latents": sample, "condition": (POSITIVE, NEGATIVE)}
        states = guider.prepare_inputs(
            {name: value if isinstance(value, tuple) else (value, value) for name, value in data.items()}
        )
        for state in states:
            state.noise_pred = network.answer(state.latents, step.timestep, state.condition)
        sample = sample - 0.05 * guider(states).pred
    return sample


CASES = {
    "apg": (
        apg(7.5, 0.2, -0.6, 3.0),
        lambda: AdaptiveProjectedGuidance(
            7.5, adaptive_projected_guidance_momentum=-0.6, adaptive_projected_guidance_rescale=3.0, eta=0.2
        ),
    ),
    "cfg_zero_star": (cfg_zero_star(5.0, 2), lambda: ClassifierFreeZeroStarGuidance(5.0, zero_init_steps=2)),
    "tangential_cfg": (tangential_cfg(6.0), lambda: TangentialClassifierFreeGuidance(6.0)),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_what_the_class_gives(name: str) -> None:
    guidance, guider = CASES[name]
    assert torch.equal(walk(guidance)[0][-1], by_hand(guider()))


@pytest.mark.parametrize("guidance", [apg(1.0), cfg_zero_star(1.0), tangential_cfg(1.0)])
def test_a_scale_of_one_asks_only_the_positive(guidance: Guidance) -> None:
    walked, network = walk(guidance)
    assert torch.equal(walked[-1], walk(cfg(1))[0][-1])
    assert network.calls == 20


def test_apg_without_its_parts_is_plain_guidance() -> None:
    walked = walk(apg(7.5, eta=1.0, momentum=0.0, limit=0.0))[0][-1]
    assert torch.allclose(walked, walk(cfg(7.5))[0][-1], rtol=0, atol=1e-10)


def test_two_runs_with_momentum_do_not_know_of_each_other() -> None:
    guidance = apg(7.5, momentum=-0.5)
    assert torch.equal(walk(guidance)[0][-1], walk(guidance)[0][-1])


def test_momentum_begins_with_a_run_that_begins_later() -> None:
    from toy import EMPTY

    from latentloom.nodes.guidance.guide import Conditions

    def late(momentum: float) -> torch.Tensor:
        guide = apg(7.5, 0.0, momentum, 0.0).begin(Conditions(POSITIVE, NEGATIVE, lambda: EMPTY))
        network, sample = Network(), start()
        for step in steps()[10:]:
            sample = sample - 0.05 * guide(network, sample, step)
        return sample

    assert not torch.equal(late(-0.5), late(0.0))


def test_the_steps_that_predict_nothing_ask_nothing() -> None:
    walked, network = walk(cfg_zero_star(5.0, 3))
    assert torch.equal(walked[2], start())
    assert network.calls == 2 * 17
