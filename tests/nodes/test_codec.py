"""Results survive being written down: types, values, every bit."""

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from latentloom.graph.store import DiskStore, Result
from latentloom.nodes.codec import TensorCodec
from latentloom.nodes.guidance.adaptive_guidance import Adaptive
from latentloom.nodes.guidance.classifier_free import ClassifierFree
from latentloom.nodes.types import (
    Branch,
    Conditioning,
    Figure,
    Image,
    Latent,
    Measured,
    Method,
    Methods,
    Model,
    Noise,
    Patch,
    Prompts,
    Report,
    Results,
    Sampler,
    Schedule,
    Series,
    Table,
)

CODEC = TensorCodec()

plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
values = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
    ),
    max_leaves=20,
)


def same(one: object, other: object) -> bool:
    """Equal with equal types all the way down, and NaN equal to itself."""
    return repr(one) == repr(other)


def round_trip(value):
    return CODEC.decode(CODEC.encode(value))


@given(values)
def test_any_nest_of_plain_values_comes_back(value):
    assert same(round_trip(value), value)


@pytest.mark.parametrize(
    "recipe",
    [
        Model("/models/shapes", "sd", None, "abc"),
        Schedule(25, "trailing", "karras", (999, 500, 1)),
        Sampler("euler", (("eta", 0.1), ("order", 2))),
        Table(("prompt", "score"), (("a red circle", 0.1 + 0.2), (None, math.inf))),
        Figure("loss", "step", "loss", (Series("train", (1.0, 2.0), (0.5, 0.25)),)),
    ],
    ids=lambda recipe: type(recipe).__name__,
)
def test_recipes_come_back_equal(recipe):
    assert round_trip(recipe) == recipe


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.uint8, torch.bool]
)
def test_every_bit_of_a_tensor_comes_back(dtype):
    tensor = (torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(0)) * 100).to(dtype)
    found = round_trip(Latent(tensor)).samples
    assert found.dtype == dtype
    assert found.shape == tensor.shape
    assert torch.equal(found.view(torch.uint8), tensor.view(torch.uint8))


def test_what_is_no_number_in_a_tensor_comes_back():
    tensor = torch.tensor([math.nan, math.inf, -math.inf, -0.0], dtype=torch.bfloat16)
    assert torch.equal(round_trip(Latent(tensor)).samples.view(torch.int16), tensor.view(torch.int16))


def test_views_and_empty_tensors_come_back():
    batch = torch.arange(24.0).reshape(2, 3, 4)
    value = (Latent(batch[:1]), Latent(batch[1:]), Latent(batch), Latent(batch.transpose(1, 2)), Latent(batch[:0]))
    for found, kept in zip(round_trip(value), value, strict=True):
        assert torch.equal(found.samples, kept.samples)


def test_a_view_does_not_drag_its_whole_batch_along():
    batch = torch.zeros(1000, 1000)
    assert len(CODEC.encode(Latent(batch[:1]))) < 10_000


def test_one_tensor_in_two_places_is_written_once():
    tensor = torch.zeros(1000, 1000)
    assert len(CODEC.encode({"latent": Latent(tensor), "noise": Noise(tensor, (1,))})) < 1.1 * tensor.nbytes


def test_empty_fields_stay_empty():
    found = round_trip(Conditioning(torch.zeros(1, 77, 8), None))
    assert found.pooled is None


def test_what_is_measured_comes_back():
    report = Report(2, 2, (Branch("positive", 2, 0),), (("tokens merged", 3),), (0.1, 0.2), 0.4, memory=5, flops=7)
    measured = Measured("AG, 3 steps", "AG", Image(torch.rand(1, 3, 4, 4)), report, 0.39, rival="plain, 2 steps")
    found = round_trip(Results((measured,), Prompts(("a red circle",))))
    assert (found.each[0].report, found.prompts) == (report, Prompts(("a red circle",)))
    assert (found.each[0].seconds, found.each[0].rival) == (0.39, "plain, 2 steps")
    assert torch.equal(found.each[0].image.pixels, measured.image.pixels)
    guidance = Adaptive(ClassifierFree(5.0), 0.99)
    methods = Methods((Method("AG", "AG", Model("/m", "sd"), Schedule(3), guidance, Sampler("ddim")),))
    assert round_trip(methods) == methods


@dataclass(frozen=True)
class Scaled(Patch):
    """A patch as other packages write them."""

    factor: float = 1.0


def test_dataclasses_of_other_packages_come_back():
    model = Model("/m", "sd", patches=(Scaled(0.1),))
    assert round_trip(model) == model


@pytest.mark.parametrize(
    "value",
    [
        object(),
        Path("a"),
        {1, 2},
        Image,
        lambda: 0,
        torch.nn.Parameter(torch.zeros(1)),
        torch.zeros(1, device="meta"),
        torch.zeros(1, requires_grad=True),
    ],
    ids=["object", "path", "set", "class", "function", "parameter", "device", "gradient"],
)
def test_what_it_does_not_know_is_refused(value):
    with pytest.raises(TypeError):
        CODEC.encode({"part": [value]})


@pytest.mark.parametrize("other", ["json.JSONDecoder", "latentloom.nodes.types.Patch.attach", "antigravity.Sampler"])
def test_bytes_cannot_name_anything_but_a_loaded_dataclass(other):
    module, _, name = other.rpartition(".")
    structure = json.dumps({"class": [module, name], "fields": {"name": "euler"}})
    data = save({}, {"structure": structure})
    with pytest.raises((KeyError, AttributeError, TypeError)):
        CODEC.decode(data)
    assert "antigravity" not in sys.modules


def test_a_store_on_disk_keeps_results(tmp_path):
    latent = torch.randn(1, 4, 8, 8, dtype=torch.bfloat16)
    DiskStore(tmp_path, CODEC, 1 << 20).put("key", Result({"latent": Latent(latent)}, {"steps": 3}, {"a": "b"}))
    found = DiskStore(tmp_path, CODEC, 1 << 20).get("key")
    assert found is not None
    assert torch.equal(found.outputs["latent"].samples, latent)
    assert (found.notes, found.models) == ({"steps": 3}, {"a": "b"})
