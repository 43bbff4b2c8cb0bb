"""NAG and NASA, which look at a negative prompt inside of attention, against both written down a second time."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import hooking
import negative_reference as reference
import pytest
import torch
from inside import Alive, alive, facts, step
from studio import NEGATIVE, PROMPT, Studio
from torch import Tensor

from latentloom.graph.node import NodeError
from latentloom.nodes.cache.region_adaptive import region_adaptive
from latentloom.nodes.guidance.adaptive_guidance import adaptive_guidance
from latentloom.nodes.guidance.cfg import cfg
from latentloom.nodes.guidance.nag import nag, normalized
from latentloom.nodes.guidance.nasa import nasa, steered
from latentloom.nodes.guidance.pag import pag
from latentloom.nodes.models import runtime
from latentloom.nodes.models.flux import pack, unpack
from latentloom.nodes.models.runtime import RuntimeSettings
from latentloom.nodes.prompt.encode_prompt import encode_prompt
from latentloom.nodes.prompt.encode_prompts import encode_prompts
from latentloom.nodes.prompt.prompt_list import prompt_list
from latentloom.nodes.schedule.schedule import schedule
from latentloom.nodes.types import Guidance

CROSSING = ("sd", "sdxl", "pixart")


def tensors(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    positive, negative = torch.randn(2, 2, 5, 32, generator=generator, dtype=torch.float64).to(dtype)
    return positive, negative


# ---------------------------------------------------------------- the formulas


def test_the_formula_is_the_papers() -> None:
    positive, negative = tensors()
    for settings in ((5.0, 2.5, 0.25), (2.0, 1.0, 1.0), (11.0, 4.0, 0.5)):
        expected = reference.nag(positive, negative, *settings)
        assert torch.allclose(normalized(positive, negative, *settings), expected, rtol=0, atol=1e-12)


def test_what_changes_nothing() -> None:
    positive, negative = tensors()
    assert torch.equal(normalized(positive, negative, 5.0, 2.5, 0.0), positive)
    assert torch.allclose(normalized(positive, negative, 1.0, 2.5, 0.25), positive, rtol=0, atol=1e-12)
    assert torch.allclose(normalized(positive, positive, 5.0, 2.5, 0.25), positive, rtol=0, atol=1e-12)
    assert torch.equal(steered(positive, negative, 0.0), positive)


def test_without_limit_it_is_extrapolation() -> None:
    positive, negative = tensors()
    assert torch.allclose(normalized(positive, negative, 5.0, 1e9, 1.0), 5 * positive - 4 * negative)


def test_no_token_becomes_longer_than_the_limit() -> None:
    positive, negative = tensors()
    lengths = [each.abs().sum(-1) for each in (normalized(positive, 40 * negative, 5.0, 2.5, 0.25), positive)]
    assert (lengths[0] <= 1.375 * lengths[1] + 1e-9).all()
    assert torch.allclose(normalized(positive, -positive, 5.0, 2.5, 0.25), 1.375 * positive)  # 9 times, limited to 2.5


def test_a_negative_that_is_the_positive_is_taken_away_too() -> None:
    positive, _ = tensors()
    assert torch.allclose(steered(positive, positive, 0.3), 0.7 * positive)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_does_not_overflow(dtype: torch.dtype) -> None:
    """The length of a token of 3072 channels is more than float16 holds."""
    wide = [3000 * each for each in tensors(torch.float32)]
    narrow = [each.repeat(1, 1, 96).to(dtype) for each in wide]
    found = normalized(narrow[0], narrow[1], 5.0, 2.5, 0.25)
    assert found.dtype == dtype
    expected = reference.nag(narrow[0].double(), narrow[1].double())
    assert torch.allclose(found.double(), expected, rtol=0.02, atol=10)


def test_a_token_of_nothing_stays_finite() -> None:
    positive, negative = torch.zeros(1, 1, 4), torch.ones(1, 1, 4)
    assert torch.isfinite(normalized(positive, negative, 5.0, 2.5, 0.25)).all()
    assert torch.equal(normalized(positive, positive, 5.0, 2.5, 0.25), positive)


# ---------------------------------------------------------------- in a network


def by_hand(model: Alive, studio: Studio, combine: Any) -> Tensor:
    """The prediction for the positive prompt with the negative one seen too."""
    net, at = model.denoiser, step(3).timestep
    rows = [[each[name] for each in map(vars, (model.positive, model.negative))] for name in ("tokens", "pooled")]
    images = len(model.sample)
    if studio.model.family == "sd3":
        told = [(t.expand(images, -1, -1), p.expand(images, -1)) for t, p in zip(*rows, strict=True)]
        return reference.sd3(net, model.sample, at, told, combine)
    if studio.model.family == "flux":
        told = [(t.expand(images, -1, -1), p.expand(images, -1)) for t, p in zip(*rows, strict=True)]
        side = model.sample.shape[-1] // 2
        ids = torch.zeros(rows[0][0].shape[1] + side * side, 3)
        ids[-side * side :, 1] = torch.arange(side).repeat_interleave(side)
        ids[-side * side :, 2] = torch.arange(side).repeat(side)
        found = reference.flux(net, pack(model.sample), at / 1000, torch.tensor(3.0), ids, told, combine)
        return unpack(found, *model.sample.shape[-2:])
    tokens, bias = model.negative.tokens, None
    if studio.model.family == "pixart":
        assert model.negative.mask is not None
        tokens, bias = net.caption_projection(tokens), (1 - model.negative.mask[:, None].float()) * -10000.0
    before = dict(net.attn_processors)
    crossing = reference.Crossing(tokens, combine, bias)
    net.set_attn_processor({name: crossing if "attn2" in name else each for name, each in before.items()})
    try:
        return model.network(model.sample, at, (model.positive,))[0]
    finally:
        net.set_attn_processor(before)


def test_nag_is_what_is_written_down_by_hand(kind: Studio) -> None:
    with alive(kind) as model:
        found = model.guided(nag())
        assert torch.allclose(found, by_hand(model, kind, reference.nag), rtol=0, atol=2e-5)
        assert (found - model.plain()[1]).abs().max() > 1e-3, "the negative prompt is to show"
        assert [len(asked) for asked in model.asked] == [1]


@pytest.mark.parametrize("name", CROSSING)
def test_nasa_is_what_is_written_down_by_hand(name: str, request: pytest.FixtureRequest) -> None:
    studio = request.getfixturevalue(name)
    with alive(studio) as model:
        found = model.guided(nasa(alpha=0.5))
        expected = by_hand(model, studio, lambda positive, negative: positive - 0.5 * negative)
        assert torch.allclose(found, expected, rtol=0, atol=2e-5)
        assert (found - model.plain()[1]).abs().max() > 1e-3
        assert [len(asked) for asked in model.asked] == [1]


@pytest.mark.parametrize("around", [None, cfg(4.0), pag(4.0, 2.0)])
@pytest.mark.parametrize("method", [partial(nag, scale=1.0), partial(nag, alpha=0.0), partial(nag, stop=0.0)])
def test_neutral_settings_are_the_guidance_itself(around: Guidance | None, method: Any, kind: Studio) -> None:
    with alive(kind) as model:
        assert torch.equal(model.guided(method(around)), model.guided(around or cfg(1.0)))


def test_a_nasa_of_nothing_is_the_guidance_itself(kind: Studio) -> None:
    with alive(kind) as model:
        assert torch.equal(model.guided(nasa(cfg(4.0), alpha=0.0)), model.guided(cfg(4.0)))


def test_a_negative_that_is_the_positive_changes_nothing(kind: Studio) -> None:
    with alive(kind) as model:
        found = model.guided(nag(negative=replace(model.positive)))
        assert torch.allclose(found, model.plain()[1], rtol=0, atol=2e-5)


def test_around_another_guidance_the_positive_branch_alone_is_changed(kind: Studio) -> None:
    with alive(kind) as model:
        changed, (negative, _) = model.guided(nag()), model.plain()
        model.asked.clear()
        found = model.guided(nag(cfg(4.0)))
        assert torch.allclose(found, negative + 4 * (changed - negative), rtol=0, atol=2e-5)
        assert sum(len(asked) for asked in model.asked) == 2
        assert torch.equal(model.guided(nag(cfg(1.0))), changed)


def test_a_negative_of_its_own(kind: Studio) -> None:
    """The run's is then that of the guidance inside alone."""
    other = encode_prompt(kind.model, "a small blue square")
    with alive(kind) as model:
        own = model.guided(nag(negative=other))
        model.negative = other
        assert torch.equal(own, model.guided(nag()))


def test_the_positive_prompt_made_worse_sees_the_negative_too(sd: Studio) -> None:
    """PAG inside: both evaluations of the positive prompt are changed alike."""
    with alive(sd) as model:
        model.guided(nag(pag(1.0, 2.0)))
        good, worse = (branch for asked in model.asked for branch in asked)
        assert good.tokens is worse.tokens is model.positive.tokens
        assert len({id(good), id(worse), id(model.positive)}) == 3


def test_it_stands_around_what_stops_early(sd: Studio) -> None:
    _, notes = hooking.sampled(sd, sd.model, guidance=nag(adaptive_guidance(cfg(4.0), -1.0)), steps=5)
    evaluations = 5 + 1  # PNDM takes its first step twice
    assert notes["network_calls"] == evaluations + 1
    assert notes["negative_prompts_inside_attention"] == evaluations


def test_it_stops_at_its_share_of_the_run(sd3: Studio) -> None:
    _, notes = hooking.sampled(sd3, sd3.model, guidance=nag(stop=0.5), steps=8)
    assert notes["network_calls"] == 8
    assert notes["negative_prompts_inside_attention"] == 4


def test_the_network_is_as_it_was(kind: Studio) -> None:
    with alive(kind) as model:
        before = facts(model.denoiser)
        model.guided(nag(cfg(4.0)))
        assert facts(model.denoiser) == before

        def failing(*given: Any) -> Any:
            model.network(*given)
            raise RuntimeError("no memory")

        model.predict = failing  # type: ignore[method-assign]
        with pytest.raises(RuntimeError):
            model.guided(nag())
        assert facts(model.denoiser) == before


def test_a_picture_comes_out_of_a_batch_as_it_does_alone(kind: Studio) -> None:
    positive = encode_prompts(kind.model, prompt_list(f"{PROMPT}\na blue square"))
    negative = encode_prompts(kind.model, prompt_list(f"{NEGATIVE}\nfog"))
    with alive(kind, 2, positive) as model:
        together = model.guided(nag(negative=negative))
    for place in range(2):
        one, other = (
            replace(each, **{n: v if v is None else v[place : place + 1] for n, v in vars(each).items()})
            for each in (positive, negative)
        )
        with alive(kind, 2, one) as model:
            alone = model.guided(nag(negative=other))[place]
        assert torch.allclose(together[place], alone, rtol=0, atol=2e-5)


def test_a_denoiser_of_half_precision(kind: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    with alive(kind) as model:
        wide = model.guided(nag())
    monkeypatch.setattr(runtime, "settings", RuntimeSettings(dtype="bfloat16"))
    with alive(kind) as model:
        narrow = model.guided(nag())
        assert next(model.denoiser.parameters()).dtype == torch.bfloat16
    assert narrow.dtype == torch.float32
    assert (narrow - wide).norm() < 0.2 * wide.norm()


def test_a_network_that_guides_itself_keeps_it(flux: Studio) -> None:
    def run(guidance: Guidance, told: float | None) -> Tensor:
        return hooking.sampled(flux, flux.model, guidance=guidance, distilled_guidance=told, steps=3)[0].samples

    assert torch.equal(run(nag(cfg(5.0)), None), run(nag(), 5.0))
    assert not torch.equal(run(nag(cfg(5.0)), None), run(cfg(1.0), 5.0))


# ---------------------------------------------------------------- where it cannot


@pytest.mark.parametrize("name", ["sd3", "flux"])
def test_nasa_is_not_defined_where_prompt_and_picture_are_one_sequence(
    name: str, request: pytest.FixtureRequest
) -> None:
    with alive(request.getfixturevalue(name)) as model:
        with pytest.raises(NodeError, match="picture and prompt are one sequence"):
            model.guided(nasa())
        assert model.asked == []


@pytest.mark.parametrize("name", ["sd3", "flux"])
def test_there_both_prompts_are_equally_long(name: str, request: pytest.FixtureRequest) -> None:
    with alive(request.getfixturevalue(name)) as model:
        longer = replace(model.negative, tokens=torch.cat([model.negative.tokens] * 2, 1))
        with pytest.raises(NodeError, match=r"the positive prompt has .* tokens and the negative one"):
            model.guided(nag(negative=longer))
        assert model.asked == []


@pytest.mark.parametrize("name", CROSSING)
def test_elsewhere_they_need_not_be(name: str, request: pytest.FixtureRequest) -> None:
    with alive(request.getfixturevalue(name)) as model:
        mask = None if model.negative.mask is None else torch.cat([model.negative.mask] * 2, 1)
        longer = replace(model.negative, tokens=torch.cat([model.negative.tokens] * 2, 1), mask=mask)
        assert torch.allclose(model.guided(nag(negative=longer)), model.guided(nag()), rtol=0, atol=2e-5)


def test_prompts_of_another_model_and_of_other_pictures(sd: Studio, sdxl: Studio) -> None:
    foreign = encode_prompt(sdxl.model, NEGATIVE)
    three = encode_prompts(sd.model, prompt_list("one\ntwo\nthree"))
    with alive(sd) as model:
        with pytest.raises(NodeError, match="another model encoded the negative prompt"):
            model.guided(nag(negative=foreign))
        with pytest.raises(NodeError, match="there are 3 negative prompts for 2 images"):
            model.guided(nag(negative=three))


def test_an_attention_that_is_not_diffusers_own_is_told_of(sd3: Studio) -> None:
    regional = replace(sd3, model=region_adaptive(sd3.model))
    with pytest.raises(NodeError, match="NAG changes attention itself, and KeepingAttention computes it here"):
        regional.sample(guidance=nag(), schedule=schedule(3), preview=False)


# ---------------------------------------------------------------- what computes it


@pytest.mark.parametrize("name", CROSSING)
def test_both_attentions_and_the_formula_are_asked_of_the_kernels_at_once(
    name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what the picture sees, masks too, so that one kernel can do it where there is a GPU."""
    from latentloom.kernels import attention

    studio, asked = request.getfixturevalue(name), []
    attend = attention.attend_guided

    def watched(*inputs: Tensor, **told: Any) -> Any:
        asked.append({name: told[name] for name in ("guidance", "tau", "alpha")})
        assert (told["bias"] is None) == (told["bias_negative"] is None) == (name != "pixart")
        return attend(*inputs, **told)

    monkeypatch.setattr(attention, "attend_guided", watched)
    _, notes = hooking.sampled(studio, studio.model, guidance=nag(scale=3.0, tau=2.0, alpha=0.5), steps=2)
    assert asked == [{"guidance": 3.0, "tau": 2.0, "alpha": 0.5}] * len(asked)
    done = sum(times for name, times in notes.items() if name.startswith("attention_by_"))
    assert done == len(asked) > 0
    assert notes["attention_ran"][0].startswith("triton: our kernel does both" if torch.cuda.is_available() else "sdpa")
