"""What PAG, Skip Layer and Smoothed Energy Guidance share, on every kind of denoiser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import hooking
import pytest
import torch
from inside import TOTAL, alive, facts, step
from studio import NEGATIVE, Studio

from latentloom.graph.node import NodeError
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.guidance.layers import usual
from latentloom.nodes.guidance.pag import pag
from latentloom.nodes.guidance.perturbed import Perturbed
from latentloom.nodes.guidance.seg import seg
from latentloom.nodes.guidance.slg import slg
from latentloom.nodes.models import live, runtime
from latentloom.nodes.models.attentions import blocks
from latentloom.nodes.models.runtime import RuntimeSettings
from latentloom.nodes.prompt.encode_prompts import encode_prompts
from latentloom.nodes.prompt.prompt_list import prompt_list
from latentloom.nodes.types import Guidance

METHODS = (pag, slg, seg)


@pytest.mark.parametrize("method", METHODS)
def test_it_moves_away_from_the_worse_prediction(method: Callable[..., Perturbed], kind: Studio) -> None:
    """A loop written by hand: e = e_u + w (e_c - e_u) + s (e_c - e_p)."""
    with alive(kind) as model:
        guidance = method(4.0, 2.0, start=0, stop=1)
        negative, positive = model.plain()
        with guidance.perturbation(model.denoiser)(model.sample):
            (worse,) = model.network(model.sample, 660.0, (model.positive,))
        assert (worse - positive).abs().max() > 1e-4, "the perturbation is to show"
        expected = negative + 4 * (positive - negative) + 2 * (positive - worse)
        assert torch.allclose(model.guided(guidance), expected, rtol=0, atol=1e-5)
        alone = positive + 2 * (positive - worse)
        assert torch.allclose(model.guided(replace(guidance, scale=1.0)), alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_a_weight_of_nothing_is_plain_guidance(method: Callable[..., Guidance], scale: float, kind: Studio) -> None:
    with alive(kind) as model:
        assert torch.equal(model.guided(method(scale, 0.0)), model.guided(cfg(scale)))
        assert [len(asked) for asked in model.asked] == [1 if scale == 1 else 2] * 2


@pytest.mark.parametrize("method", METHODS)
def test_outside_of_its_share_of_the_run_it_is_plain_guidance(method: Callable[..., Guidance], sd: Studio) -> None:
    with alive(sd) as model:
        for start, stop in ((0.3, 0.7), (0.0, 1.0), (0.0, 0.5)):
            guide = method(4.0, 2.0, start=start, stop=stop).begin(model.conditions())
            model.asked.clear()
            for index in range(TOTAL):
                guide(model.predict, model.sample, step(index))
            first = int(start * TOTAL) + 1 if start else 0  # diffusers begins after the step it names
            inside = int(stop * TOTAL) - first
            assert sum(len(asked) for asked in model.asked) == 2 * TOTAL + inside
            assert model.guided(method(4.0, 2.0, start=0.3, stop=0.7), 9).equal(model.guided(cfg(4.0), 9))


@pytest.mark.parametrize("method", METHODS)
def test_the_network_is_as_it_was(method: Callable[..., Guidance], kind: Studio) -> None:
    with alive(kind) as model:
        before = facts(model.denoiser)
        model.guided(method(4.0, 2.0, start=0, stop=1))
        assert facts(model.denoiser) == before

        def failing(sample: Any, timestep: Any, branches: Any) -> Any:
            if len(branches) == 1:
                raise RuntimeError("no memory")
            return model.network(sample, timestep, branches)

        model.predict = failing  # type: ignore[method-assign]
        with pytest.raises(RuntimeError):
            model.guided(method(4.0, 2.0, start=0, stop=1))
        assert facts(model.denoiser) == before


@pytest.mark.parametrize("method", METHODS)
def test_a_picture_comes_out_of_a_batch_as_it_does_alone(method: Callable[..., Guidance], kind: Studio) -> None:
    prompts = encode_prompts(kind.model, prompt_list("a red circle\na blue square"))
    guidance = method(4.0, 2.0, start=0, stop=1)
    with alive(kind, 2, prompts) as model:
        together = model.guided(guidance)
    for place in range(2):
        told = {name: None if value is None else value[place : place + 1] for name, value in vars(prompts).items()}
        with alive(kind, 2, replace(prompts, **told)) as model:
            alone = model.guided(guidance)[place]
        assert torch.allclose(together[place], alone, rtol=0, atol=1e-5)
    assert not torch.allclose(together[0], together[1], atol=1e-2)


@pytest.mark.parametrize("method", METHODS)
def test_each_evaluation_is_a_call_of_the_report(method: Callable[..., Guidance], sd3: Studio) -> None:
    _, notes = hooking.sampled(sd3, sd3.model, guidance=method(4.0, 2.0, start=0, stop=0.5), steps=8)
    assert notes["network_calls"] == 2 * 8 + 4
    assert notes["network_passes"] == 8 + 4


@pytest.mark.parametrize("method", METHODS)
def test_a_network_that_guides_itself_is_told_the_scale_and_still_perturbed(
    method: Callable[..., Guidance], flux: Studio
) -> None:
    def run(**options: Any) -> tuple[Any, dict]:
        latent, notes = hooking.sampled(flux, flux.model, steps=4, negative=None, **options)
        return latent.samples, notes

    ours, notes = run(guidance=method(3.0, 2.0, start=0, stop=1), distilled_guidance=None)
    theirs, _ = run(guidance=method(1.0, 2.0, start=0, stop=1), distilled_guidance=3.0)
    assert torch.equal(ours, theirs)
    assert notes["network_calls"] == 2 * 4
    assert torch.equal(
        run(guidance=method(3.0, 0.0), distilled_guidance=None)[0], run(guidance=cfg(1), distilled_guidance=3.0)[0]
    )


@pytest.mark.parametrize("method", METHODS)
def test_layers_that_are_not_there_are_told_of(method: Callable[..., Guidance], kind: Studio) -> None:
    with alive(kind) as model:
        there = len(blocks(model.denoiser))
        with pytest.raises(NodeError, match=rf"layers 77, 99 are not there; .* has {there} transformer blocks"):
            model.guided(method(4.0, 2.0, layers=[0, 77, 99]))
        assert model.asked == []


def test_the_usual_layers(sd: Studio, sdxl: Studio, flux: Studio) -> None:
    for studio in (sd, sdxl):
        with live.use(studio.model) as parts:
            chosen = [blocks(parts.denoiser)[index] for index in usual(parts.denoiser)]
            assert chosen == list(parts.denoiser.mid_block.attentions[0].transformer_blocks)
    with live.use(flux.model) as parts:
        assert usual(parts.denoiser) == [0]
        assert len(blocks(parts.denoiser)) == 3

    class Deep:
        transformer_blocks = range(24)

    assert usual(Deep) == [7, 8, 9]  # Stable Diffusion 3.5 Medium


@pytest.mark.parametrize("method", METHODS)
def test_a_denoiser_of_half_precision(
    method: Callable[..., Guidance], kind: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    guidance = method(4.0, 2.0, start=0, stop=1)
    with alive(kind) as model:
        wide, plain = model.guided(guidance), model.guided(cfg(4.0))
    monkeypatch.setattr(runtime, "settings", RuntimeSettings(dtype="bfloat16"))
    with alive(kind) as model:
        narrow = model.guided(guidance)
        assert next(model.denoiser.parameters()).dtype == torch.bfloat16
    assert narrow.dtype == wide.dtype == torch.float32
    assert (narrow - wide).norm() < 0.2 * plain.norm()


def test_two_runs_do_not_know_of_each_other(sd: Studio) -> None:
    def run() -> Any:
        return hooking.sampled(sd, sd.model, guidance=pag(4.0, 2.0), negative=NEGATIVE, steps=4)[0].samples

    assert torch.equal(run(), run())
