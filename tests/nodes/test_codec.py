"""What was kept comes back as it was, bit for bit; what cannot be kept is refused."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from latentloom.graph.store import DiskStore, Result
from latentloom.nodes.codec import TensorCodec
from latentloom.nodes.types import Conditioning, Image, Model, Patch, Sampler, Table


@dataclass(frozen=True)
class Scaled(Patch):
    """A patch as third parties write them."""

    factor: float = 1.0


def again(value: Any) -> Any:
    return TensorCodec().decode(TensorCodec().encode(value))


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        0.1,
        float("inf"),
        "Größe",
        [],
        (),
        {"a": [1, (2, "x")], 3: None},
        ["float", "tensor", "class"],
        Sampler("euler", (("eta", 0.5),)),
        Model("/m", "sd", patches=(Scaled(0.1),)),
        Table(("a", "b"), ((1, None), ("x", 0.5))),
    ],
)
def test_plain_values_and_recipes_come_back(value):
    found = again(value)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.bool, torch.uint8])
def test_tensors_come_back_bit_for_bit(dtype):
    tensor = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0)).mul(9).to(dtype)
    found = again(Image(tensor)).pixels
    assert found.dtype == dtype and torch.equal(found, tensor)


def test_views_and_twins_are_kept_apart():
    tensor = torch.arange(12.0).view(3, 4)
    found = again({"whole": tensor, "turned": tensor.T, "again": tensor, "part": tensor[1:], "nan": tensor / 0})
    assert torch.equal(found["turned"], tensor.T) and torch.equal(found["part"], tensor[1:])
    assert found["nan"][0, 0].isnan() and found["nan"][1, 1].isinf()


def test_several_tensors_and_none():
    found = again(Conditioning(torch.ones(1, 2, 3), None))
    assert found.pooled is None and torch.equal(found.tokens, torch.ones(1, 2, 3))


@pytest.mark.parametrize("value", [object(), Path("a"), {1, 2}, [lambda: 0], Image])
def test_what_it_does_not_know_is_refused(value):
    with pytest.raises(TypeError):
        TensorCodec().encode(value)


def test_bytes_cannot_name_anything_but_a_dataclass():
    data = TensorCodec().encode(Sampler("euler"))
    for name, other in ((b"latentloom.nodes.types", b"subprocess"), (b'"Sampler"', b'"Patch.attach"')):
        tree = data[8:].replace(name, other)
        grown = int.from_bytes(data[:8], "little") + len(other) - len(name)
        with pytest.raises((KeyError, AttributeError, TypeError)):
            TensorCodec().decode(grown.to_bytes(8, "little") + tree)


def test_a_store_on_disk_gives_results_to_another_one(tmp_path):
    result = Result({"image": Image(torch.rand(1, 3, 4, 4))}, {"steps": 3})
    DiskStore(tmp_path, TensorCodec(), 1 << 20).put("key", result)
    found = DiskStore(tmp_path, TensorCodec(), 1 << 20).get("key")
    assert found is not None and found.notes == {"steps": 3}
    assert torch.equal(found.outputs["image"].pixels, result.outputs["image"].pixels)
