"""The choice of an implementation: the same pictures, a report that says who drew them, a network left as it was."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from hooking import sampled
from inside import facts
from studio import Studio
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from latentloom.graph.node import NodeError
from latentloom.kernels.attention import WANTED
from latentloom.nodes.attention import dispatcher
from latentloom.nodes.attention.attending import Asked
from latentloom.nodes.attention.attention import Backend, attention, by
from latentloom.nodes.attention.sparse_attention import sparse_attention
from latentloom.nodes.cache.deepcache import deepcache
from latentloom.nodes.cache.region_adaptive import region_adaptive
from latentloom.nodes.guidance.nag import nag
from latentloom.nodes.guidance.pag import pag
from latentloom.nodes.models import live, runtime
from latentloom.nodes.models.runtime import RuntimeSettings
from latentloom.nodes.types import Model


def drawn(studio: Studio, model: Model, steps: int = 2, **options: Any) -> tuple[Tensor, dict[str, Any]]:
    latent, notes = sampled(studio, model, 1, steps, **options)
    return latent.samples, notes


def layers(studio: Studio) -> int:
    """Attentions of the denoiser, to the picture and to the prompt."""
    with live.use(studio.model) as parts:
        return sum(hasattr(module, "processor") for module in parts.denoiser.modules())


def state(studio: Studio) -> list[tuple[Any, ...]]:
    with live.use(studio.model) as parts:
        return facts(parts.denoiser)


def test_left_alone_it_draws_the_same_bits_and_says_who_did(kind: Studio) -> None:
    plain, silent = drawn(kind, kind.model)
    found, notes = drawn(kind, attention(kind.model))
    assert torch.equal(found, plain)
    assert notes["attention_by_sdpa"] == notes["network_passes"] * layers(kind)
    assert all(told.startswith("sdpa: PyTorch's attention (") for told in notes["attention_ran"])
    assert silent["attention_ran"] == notes["attention_ran"], "a run says so without the node too"
    assert "attention_by_sdpa" not in silent


def test_another_implementation_draws_the_same(kind: Studio) -> None:
    """Rounding apart: sums are taken in another order."""
    plain, _ = drawn(kind, kind.model)
    found, notes = drawn(kind, attention(kind.model, "reference"))
    assert torch.allclose(found, plain, rtol=0, atol=2e-4 * plain.abs().max().item())
    assert notes["attention_by_reference"] == notes["network_passes"] * layers(kind)
    assert notes["attention_ran"] == ["reference: reference was asked for"]


@pytest.mark.parametrize("name", ["sd", "pixart"])
def test_attention_to_the_prompt_may_stay_as_it_is(name: str, request: pytest.FixtureRequest) -> None:
    studio = request.getfixturevalue(name)
    _, notes = drawn(studio, attention(studio.model, "sdpa_math", to_prompt=False))
    assert notes["attention_by_sdpa_math"] == notes["network_passes"] * layers(studio) // 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="what a machine without a GPU cannot do")
@pytest.mark.parametrize(
    ("backend", "why"),
    [
        ("triton", r"Triton kernels run on a GPU, and this is cpu\. These can: sdpa, sdpa_efficient, sdpa_math, ref"),
        ("sdpa_cudnn", "it runs on a GPU"),
        ("sage", "not usable because of missing package .* `sageattention"),
        ("flash_2", "missing package .* `flash-attn"),
    ],
)
def test_what_cannot_run_here_is_said_with_what_can(sd: Studio, backend: Backend, why: str) -> None:
    before = state(sd)
    with pytest.raises(NodeError, match=rf"In down_blocks.*attn1, with queries of .*attention '{backend}'.*{why}"):
        drawn(sd, attention(sd.model, backend))
    assert state(sd) == before


def test_a_mask_is_not_left_out(pixart: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """PixArt hides the padding of its prompts; who cannot is refused, or spared it."""
    monkeypatch.setitem(dispatcher.BACKENDS, "flex", "native")
    with pytest.raises(NodeError, match=r"attn2.*it takes no mask"):
        drawn(pixart, attention(pixart.model, "flex"))
    plain, _ = drawn(pixart, pixart.model)
    found, notes = drawn(pixart, attention(pixart.model, "flex", to_prompt=False))
    assert torch.equal(found, plain)
    assert notes["attention_by_flex"] > 0


def test_diffusers_dispatcher_computes_what_it_offers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "BACKENDS", {"ours": "native", "flash_2": "flash", "flash_3": "_flash_3"})
    q, k, v = (torch.randn(2, 3, length, 8) for length in (5, 7, 7))
    offered = dispatcher.offered(q, k, v)
    assert list(offered) == ["ours"]
    assert torch.allclose(offered["ours"](q, k, v), scaled_dot_product_attention(q, k, v), atol=1e-6)
    assert dispatcher.obstacle("ours", q, k, v) is None
    assert "must have the same dtype" in str(dispatcher.obstacle("ours", q, k.double(), v))


@pytest.mark.usefixtures("on_a_gpu")
def test_our_kernel_computes_what_it_is_asked_for() -> None:
    q, k, v = (torch.randn(1, 2, length, 16) for length in (40, 70, 70))
    bias = torch.randn(1, 1, 1, 70)
    found = by("triton", Asked(q, k, v, bias, scale=0.2), "a layer")
    assert torch.allclose(found, scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=0.2), atol=1e-5)


def test_every_name_is_known_to_someone() -> None:
    assert set(get_args(Backend)) == {*WANTED, *dispatcher.BACKENDS}


def test_the_network_is_as_it_was_also_after_an_error(kind: Studio) -> None:
    before = state(kind)
    drawn(kind, attention(kind.model, "reference"))
    assert state(kind) == before
    with live.use(kind.model) as parts:
        with (
            pytest.raises(RuntimeError, match="no memory"),
            attention(kind.model).patches[0].attach("", parts.denoiser),
        ):
            assert facts(parts.denoiser) != before
            raise RuntimeError("no memory")
        assert facts(parts.denoiser) == before


def test_half_precision(sd3: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "settings", RuntimeSettings(dtype="bfloat16"))
    plain, _ = drawn(sd3, sd3.model)
    assert torch.equal(drawn(sd3, attention(sd3.model))[0], plain)


# ---------------------------------------------------------------- with other methods


def test_it_goes_with_a_cache(sd: Studio) -> None:
    plain, _ = drawn(sd, deepcache(sd.model, 2), 4)
    found, notes = drawn(sd, deepcache(attention(sd.model), 2), 4)
    assert torch.equal(found, plain)
    assert 0 < notes["attention_by_sdpa"] < notes["network_passes"] * layers(sd)


def test_two_of_a_kind_contradict_each_other(sd: Studio) -> None:
    with pytest.raises(NodeError, match="sparse_attention and attention both compute attention"):
        sparse_attention(attention(sd.model))


def test_what_changes_attention_itself_is_refused_either_way_round(sd: Studio, sd3: Studio) -> None:
    with pytest.raises(NodeError, match="PAG changes attention itself, and Attending computes it here"):
        drawn(sd, attention(sd.model), guidance=pag(2.0, 2.0))
    with pytest.raises(NodeError, match="NAG changes attention itself, and Attending"):
        drawn(sd, attention(sd.model), guidance=nag())
    with pytest.raises(NodeError, match="Region-adaptive sampling changes attention itself, and Attending"):
        drawn(sd3, region_adaptive(attention(sd3.model)))
    with pytest.raises(NodeError, match="attention changes attention itself, and KeepingAttention"):
        drawn(sd3, attention(region_adaptive(sd3.model)))


def test_a_negative_prompt_inside_of_attention_leaves_self_attention_to_it(sd: Studio) -> None:
    plain, _ = drawn(sd, sd.model, guidance=nag())
    found, notes = drawn(sd, attention(sd.model, to_prompt=False), guidance=nag())
    assert torch.equal(found, plain)
    assert notes["attention_by_sdpa"] > 0


def test_the_recipe_is_a_value(sd: Studio) -> None:
    assert attention(sd.model, "sage") == attention(sd.model, "sage") != attention(sd.model)
    assert hash(attention(sd.model)) == hash(replace(attention(sd.model)))
