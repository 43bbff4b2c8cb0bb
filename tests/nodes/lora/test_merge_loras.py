"""Merging is peft's, where peft is right, and the exact sum where that is promised."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import peft
import pytest
import torch
from adapters import CONVOLUTIONS, as_diffusers, as_kohya, deltas, factors, layers, opened, product, stored
from adapters import write as written
from peft.utils import merge_utils
from studio import Studio
from torch import Tensor

from latentloom.graph.node import NodeError
from latentloom.nodes.lora.change import Whole
from latentloom.nodes.lora.lora import Lora
from latentloom.nodes.lora.merge_loras import merge_loras
from latentloom.nodes.lora.merging import Method

TARGETS = ("to_q", "to_v", "conv1", "conv_shortcut")
WEIGHTS = [0.8, -0.4]


class Pair:
    """Two LoRAs of the same rank, on layers of which some are common, as ours and as peft's."""

    def __init__(self, studio: Studio, folder: Path) -> None:
        self.studio = studio
        self.adapted: Any = None
        loras = []
        for name, targets, alpha in (("one", TARGETS, 4), ("two", TARGETS[:3], 2)):
            config = peft.LoraConfig(r=3, lora_alpha=alpha, target_modules=list(targets), init_lora_weights=False)
            torch.manual_seed(len(name) + alpha)
            if self.adapted is None:
                self.adapted = peft.get_peft_model(copy.deepcopy(studio.pipeline.unet), config, adapter_name=name)
            else:
                self.adapted.add_adapter(name, config)
            self.adapted.save_pretrained(folder, selected_adapters=[name])
            loras.append(opened(studio.model, folder / name))
        self.loras: tuple[Lora, ...] = tuple(loras)

    def by_peft(self, method: str, **options: Any) -> dict[str, Tensor]:
        self.adapted.add_weighted_adapter(["one", "two"], WEIGHTS, method, combination_type=method, **options)
        found = {
            f"unet.{name.removeprefix('base_model.model.')}": module.get_delta_weight(method)
            for name, module in self.adapted.named_modules()
            if hasattr(module, "lora_A") and method in module.lora_A
        }
        self.adapted.delete_adapter(method)
        return found

    def summed(self) -> dict[str, Tensor]:
        total: dict[str, Tensor] = {}
        for lora, weight in zip(self.loras, WEIGHTS, strict=True):
            for name, delta in deltas(lora).items():
                total[name] = total.get(name, 0) + weight * delta
        return total


@pytest.fixture(scope="module")
def pair(sd: Studio, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair(sd, tmp_path_factory.mktemp("pair"))


def error(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> float:
    """The largest, relative to the size of the change."""
    assert found.keys() == expected.keys()
    return max(((found[name] - value).norm() / value.norm()).item() for name, value in expected.items())


@pytest.mark.parametrize("method", [method for method in get_args(Method) if method != "task_arithmetic"])
def test_each_method_is_pefts(method: Method, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    def every_other(tensor: Tensor, density: float, rescale: bool) -> Tensor:
        return tensor * (torch.arange(tensor.numel()) % 2).reshape(tensor.shape) / density

    monkeypatch.setattr(merge_utils, "random_pruning", every_other)  # what is left out at random must be the same
    expected = pair.by_peft(method, density=0.5)
    found = deltas(merge_loras(pair.loras, WEIGHTS, method, 0.5, seed=1))
    assert error(found, expected) < 2e-5


def test_one_alone_is_itself(pair: Pair) -> None:
    (one, _) = pair.loras
    for method in ("cat", "svd", "linear", "task_arithmetic"):
        assert error(deltas(merge_loras((one,), method=method)), deltas(one)) < 1e-6


def test_cat_is_the_exact_sum_and_linear_is_not(pair: Pair) -> None:
    assert error(deltas(merge_loras(pair.loras, WEIGHTS)), pair.summed()) < 1e-6
    assert error(deltas(merge_loras(pair.loras, WEIGHTS, "linear")), pair.summed()) > 0.1
    assert error(deltas(merge_loras(pair.loras, WEIGHTS, "svd")), pair.summed()) > 0.01
    for method in ("svd", "dare_linear_svd", "magnitude_prune_svd"):
        assert error(deltas(merge_loras(pair.loras, WEIGHTS, method, rank=6)), pair.summed()) < 1e-5


def test_rank_stabilised_ones_are_summed_rightly(sd: Studio, tmp_path: Path) -> None:
    """peft keeps the flag on what it merged, and scales it by sqrt(r)."""
    given = factors(layers(sd.model, ("to_q",), ["unet"]), rank=4)
    lora = stored(sd, tmp_path, as_diffusers(given), unet={"r": 4, "lora_alpha": 8, "use_rslora": True})
    expected = {name: 2 * 4.0 * product(*each) for name, each in given.items()}
    for method in ("cat", "linear", "svd"):
        merged = merge_loras((lora, lora), method=method)
        assert error(deltas(merged), expected if method != "linear" else {n: 2 * d for n, d in expected.items()}) < 1e-5


def test_different_ranks_and_shapes_are_put_side_by_side(sd: Studio, tmp_path: Path) -> None:
    shapes = layers(sd.model, ("to_q", "conv_shortcut"), ["unet"])
    one, two = (factors(shapes, rank=rank, seed=rank) for rank in (2, 5))
    flat = {name: (down.flatten(1), up.flatten(1)) for name, (down, up) in two.items()}
    loras = stored(sd, tmp_path / "a", as_diffusers(one)), stored(sd, tmp_path / "b", as_kohya(flat))
    expected = {name: product(*one[name]) + product(*two[name]) for name in shapes}
    merged = merge_loras(loras)
    assert error(deltas(merged), expected) < 1e-6
    assert {change.rank for change in merged.load()["unet"].values()} == {7}
    with pytest.raises(NodeError, match=r"ranks 2 and 5, and ties takes equal ones; take ties_svd"):
        merge_loras(loras, method="ties")
    assert {change.rank for change in merge_loras(loras, method="ties_svd").load()["unet"].values()} == {5}


# ---------------------------------------------------------------- task arithmetic


def test_task_arithmetic_is_linear_in_the_weights_and_whole(pair: Pair) -> None:
    merged = merge_loras(pair.loras, WEIGHTS, "task_arithmetic")
    assert all(isinstance(change, Whole) for change in merged.load()["unet"].values())
    assert error(deltas(merged), pair.summed()) < 1e-6
    doubled = merge_loras(pair.loras, [2 * weight for weight in WEIGHTS], "task_arithmetic", density=0.3)
    single = deltas(merge_loras(pair.loras, WEIGHTS, "task_arithmetic", density=0.3))
    assert error(deltas(doubled), {name: 2 * delta for name, delta in single.items()}) < 1e-6
    turned = merge_loras(pair.loras[::-1], WEIGHTS[::-1], "task_arithmetic", density=0.3)
    assert error(deltas(turned), single) < 1e-6


def test_a_mask_is_common_to_all_and_keeps_the_mean(pair: Pair) -> None:
    found = deltas(merge_loras(pair.loras, WEIGHTS, "task_arithmetic", density=0.25))
    one, two = (deltas(lora) for lora in pair.loras)
    for name, delta in found.items():
        size = one[name].abs() + (two[name].abs() if name in two else 0)
        kept = delta != 0
        assert kept.sum() == int(0.25 * kept.numel())
        assert size[kept].min() >= size[~kept].max()
        assert torch.allclose(delta, pair.summed()[name] * kept / kept.float().mean(), rtol=1e-4, atol=1e-6)


def test_what_dare_leaves_out_is_of_the_seed(pair: Pair) -> None:
    def merged(seed: int) -> dict[str, Tensor]:
        return deltas(merge_loras(pair.loras, WEIGHTS, "dare_linear_svd", 0.5, rank=99, seed=seed))

    state = torch.random.get_rng_state()
    first = merged(1)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert error(merged(2), first) > 0.1
    assert all(torch.equal(value, first[name]) for name, value in merged(1).items())
    mean = {name: torch.stack([merged(seed)[name] for seed in range(16)]).mean(dim=0) for name in list(first)[:1]}
    expected = {name: pair.summed()[name] for name in mean}
    assert error(mean, expected) < 0.35 < error({name: first[name] for name in mean}, expected)


# ---------------------------------------------------------------- what is refused


def test_decomposed_ones_are_refused(sd: Studio, tmp_path: Path) -> None:
    given = factors(layers(sd.model, ("to_q",), ["unet"]))
    tensors = as_diffusers(given)
    for name, (_, up) in given.items():
        tensors[f"{name}.lora_magnitude_vector"] = torch.ones(len(up))
    lora = stored(sd, tmp_path, tensors)
    with pytest.raises(NodeError, match="is decomposed"):
        merge_loras((lora, lora))


def test_only_some_methods_take_other_products(sd: Studio, tmp_path: Path) -> None:
    name, shape = next(iter(layers(sd.model, CONVOLUTIONS, ["unet"]).items()))
    path = written(tmp_path, {f"lora_unet_{name[5:].replace('.', '_')}.diff": torch.randn(shape)})
    lora = opened(sd.model, path)
    with pytest.raises(NodeError, match="no LoRA of two factors, which cat works on"):
        merge_loras((lora, lora))
    assert error(deltas(merge_loras((lora, lora), method="task_arithmetic")), {name: 2 * deltas(lora)[name]}) < 1e-6
    assert error(deltas(merge_loras((lora, lora), method="svd")), {name: 2 * deltas(lora)[name]}) < 1e-5


def test_weights_are_as_many_as_loras(pair: Pair, sdxl: Studio, tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="1 weights for 2"):
        merge_loras(pair.loras, [1.0])
    with pytest.raises(NodeError, match="There is no LoRA"):
        merge_loras(())
    other = stored(sdxl, tmp_path, as_diffusers(factors(layers(sdxl.model, ("to_q",)))))
    with pytest.raises(NodeError, match="of sd and sdxl"):
        merge_loras((pair.loras[0], other))
