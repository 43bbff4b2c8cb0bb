"""Recipes made live: loaded when needed, shared between recipes, patched and restored exactly."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import nn

from latentloom.graph.files import Files
from latentloom.graph.node import NodeError
from latentloom.graph.progress import Cancelled, Progress
from latentloom.nodes.load.load_model import load_model
from latentloom.nodes.models import live, loading, runtime
from latentloom.nodes.models.layouts import LAYOUTS
from latentloom.nodes.models.pool import Pool
from latentloom.nodes.models.runtime import GIB, RuntimeSettings
from latentloom.nodes.types import Model, Patch


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "POOL", Pool())
    monkeypatch.setattr(runtime, "settings", RuntimeSettings(device="cpu"))


@pytest.fixture
def sd(tiny_sd: Path) -> Model:
    return load_model(tiny_sd.name, files=Files({"models": [tiny_sd.parent]}))


@pytest.fixture
def xl(tiny_sdxl: Path) -> Model:
    return load_model(tiny_sdxl.name, files=Files({"models": [tiny_sdxl.parent]}))


def parts_alive() -> list[str]:
    return [living.name for living in live.loaded()]


def touch(model: Model) -> None:
    with live.use(model) as parts:
        assert parts.unet is not None


def test_only_what_is_asked_for_is_loaded(xl):
    with live.use(xl) as parts:
        assert parts_alive() == [] and len(parts.tokenizers) == 2
        assert parts.scheduler_config["_class_name"] == "EulerDiscreteScheduler"
        assert parts.description.factor == 4 and parts_alive() == []
        assert len(parts.text_encoders) == 2
        assert [name.split(": ")[1] for name in parts_alive()] == ["text_encoder", "text_encoder_2"]


def test_modules_are_ready_for_inference(sd):
    with live.use(sd) as parts:
        for module in (parts.unet, parts.vae, *parts.text_encoders):
            assert not module.training and not any(p.requires_grad for p in module.parameters())
            assert {p.dtype for p in module.parameters()} == {torch.float32}


def test_the_budget_decides_whether_a_model_is_read_again(sd, xl, monkeypatch):
    need = {m: loading.size(m, LAYOUTS[m.family].part("unet"), torch.float32) for m in (sd, xl)}
    monkeypatch.setattr(runtime, "settings", RuntimeSettings("cpu", memory_gb=(max(need.values()) + 100) / GIB))
    for model in (sd, xl, sd):
        touch(model)
    assert live.POOL.loads == 3 and parts_alive() == ["tiny-sd: unet"]
    monkeypatch.setattr(live, "POOL", Pool())
    monkeypatch.setattr(runtime, "settings", RuntimeSettings("cpu", memory_gb=(sum(need.values()) + 100) / GIB))
    for model in (sd, xl, sd):
        touch(model)
    assert live.POOL.loads == 2 and parts_alive() == ["tiny-sdxl: unet", "tiny-sd: unet"]


def test_a_part_in_use_is_not_evicted(sd, xl, monkeypatch):
    monkeypatch.setattr(runtime, "settings", RuntimeSettings("cpu", memory_gb=1000 / GIB))
    notes = []
    with live.use(sd) as parts:
        unet = parts.unet
        with live.use(xl, Progress(on_note=notes.append)) as others:
            assert others.unet is not unet
            assert set(parts_alive()) == {"tiny-sd: unet", "tiny-sdxl: unet"}
        assert parts.unet is unet and "over the budget" in notes[0]["memory"]


def test_loading_is_told_and_can_be_cancelled(sd):
    told, cancel = [], threading.Event()
    with live.use(sd, Progress(on_step=lambda done, total, label, _: told.append((done, total, label)))) as parts:
        assert parts.unet is not None
    assert told[0] == (0, 1, "loading tiny-sd: unet") and told[1][2].startswith("loaded tiny-sd: unet in ")
    cancel.set()
    with pytest.raises(Cancelled), live.use(sd, Progress(cancel=cancel)) as parts:
        assert parts.vae is not None
    assert parts_alive() == ["tiny-sd: unet"]
    with live.use(sd) as parts:  # and nothing stays locked or in use
        assert parts.vae is not None
    assert not any(living.in_use for living in live.loaded())


def test_a_file_damaged_after_it_was_checked(sd, tmp_path):
    import shutil

    shutil.copytree(sd.source, tmp_path / "copy")
    (tmp_path / "copy" / "vae" / "config.json").write_text('{"_class_name": "AutoencoderKL", "block_out_channels": 3}')
    with pytest.raises(NodeError, match="The vae of"), live.use(replace(sd, source=str(tmp_path / "copy"))) as parts:
        assert parts.vae is not None


@pytest.mark.parametrize("offload", ["model", "sequential", "group"])
def test_offloaded_parts_compute_the_same(sd, offload, monkeypatch):
    """On a machine without a GPU the CPU stands for it; the hooks are those a GPU gets."""
    latent, tokens = torch.randn(1, 4, 8, 8), torch.randn(1, 77, 16)

    def outcome() -> torch.Tensor:
        with torch.no_grad(), live.use(sd) as parts:
            pixels = parts.family.decode(parts, latent)
            return pixels.mean() + parts.unet(latent, 500, encoder_hidden_states=tokens, return_dict=False)[0]

    plain = outcome()
    placed = replace(runtime.place(runtime.settings), offload=offload)
    monkeypatch.setattr(runtime, "place", lambda *_: placed)
    assert torch.equal(outcome(), plain) and torch.equal(outcome(), plain)
    assert live.POOL.loads == (2 if offload == "model" else 4)  # hooked modules are others than the plain ones


def test_layout_and_compiling_are_given_to_the_parts_they_are_for(sd, monkeypatch):
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda module: compiled.append(type(module).__name__))
    touch(sd)
    monkeypatch.setattr(runtime, "settings", RuntimeSettings("cpu", channels_last=True, compile=True))
    with live.use(sd) as parts:
        for module, name in ((parts.unet, "conv_in.weight"), (parts.vae, "encoder.conv_in.weight")):
            assert module.get_parameter(name).is_contiguous(memory_format=torch.channels_last)
        assert len(parts.text_encoders) == 1
    assert compiled == ["UNet2DConditionModel"] and live.POOL.loads == 4  # the plain UNet is another than this one


def test_attention_that_would_change_nothing_is_refused(sd, monkeypatch):
    monkeypatch.setattr(runtime, "settings", RuntimeSettings("cpu", attention="sage"))
    with pytest.raises(NodeError, match="attention 'sage' has no effect on this model's denoiser"):
        touch(sd)


def test_the_autoencoder_of_sdxl_keeps_float32_where_it_would_overflow(sd, xl, monkeypatch):
    monkeypatch.setattr(runtime, "settings", RuntimeSettings("cpu", dtype="float16"))
    with live.use(xl) as parts:
        assert (parts.unet.dtype, parts.vae.dtype) == (torch.float16, torch.float32)
    with live.use(sd) as parts:
        assert parts.vae.dtype == torch.float16


# ---------------------------------------------------------------- patches


@dataclass(frozen=True)
class Scale(Patch):
    """Multiplies the weights of the first convolution, and puts back the ones it found."""

    factor: float
    parts: ClassVar[tuple[str, ...]] = ("unet",)
    log: ClassVar[list[str]] = []

    @contextmanager
    def attach(self, part: str, module: nn.Module) -> Iterator[None]:
        weight = module.get_parameter("conv_in.weight")
        before = weight.detach().clone()
        with torch.no_grad():
            weight.mul_(self.factor)
        self.log.append(f"on {self.factor}")
        try:
            yield
        finally:
            with torch.no_grad():
                weight.copy_(before)
            self.log.append(f"off {self.factor}")


@dataclass(frozen=True)
class Fails(Patch):
    @contextmanager
    def attach(self, part: str, module: nn.Module) -> Iterator[None]:
        raise NodeError("This patch does not fit.")
        yield


@pytest.fixture
def log() -> list[str]:
    Scale.log.clear()
    return Scale.log


def weights(model: Model) -> torch.Tensor:
    with live.use(model) as parts:
        return parts.unet.conv_in.weight.detach().clone()


def test_patches_are_attached_in_order_and_restored_bit_for_bit(sd, log):
    base, patched = weights(sd), replace(sd, patches=(Scale(3.0), Scale(0.1)))
    assert torch.equal(weights(patched), base.mul(3.0).mul(0.1))
    assert log == ["on 3.0", "on 0.1", "off 0.1", "off 3.0"]
    assert torch.equal(weights(sd), base) and live.POOL.loads == 1


def test_a_patch_is_attached_only_to_its_part_and_loads_no_other(sd, log):
    with live.use(replace(sd, patches=(Scale(3.0),))) as parts:
        assert parts.vae is not None and parts_alive() == ["tiny-sd: vae"]
    assert log == []


def test_a_patch_is_taken_off_after_an_error(sd, log):
    base = weights(sd)
    with pytest.raises(ZeroDivisionError), live.use(replace(sd, patches=(Scale(3.0),))) as parts:
        assert not torch.equal(parts.unet.conv_in.weight, base)
        raise ZeroDivisionError
    assert torch.equal(weights(sd), base)


def test_a_patch_that_fails_takes_the_ones_before_it_off(sd, log):
    base = weights(sd)
    with pytest.raises(NodeError, match="does not fit"):
        touch(replace(sd, patches=(Scale(3.0), Fails())))
    assert torch.equal(weights(sd), base) and log == ["on 3.0", "off 3.0"]
    assert not any(living.in_use for living in live.loaded())


def test_the_same_recipe_inside_itself_is_patched_once(sd, log):
    patched = replace(sd, patches=(Scale(3.0),))
    base = weights(sd)
    with live.use(patched):
        with live.use(patched) as inner:
            once = inner.unet.conv_in.weight.detach().clone()
        with live.use(patched) as again:
            assert torch.equal(again.unet.conv_in.weight, once) and torch.equal(once, base * 3.0)
            assert [living.in_use for living in live.loaded()] == [True]
    assert log == ["on 3.0", "off 3.0"] and torch.equal(weights(sd), base)
    assert not any(living.in_use for living in live.loaded())


def test_other_patches_inside_a_use_are_refused(sd):
    with live.use(sd), pytest.raises(NodeError, match="in use with other patches"):
        touch(replace(sd, patches=(Scale(3.0),)))
    touch(replace(sd, patches=(Scale(3.0),)))


def test_threads_never_see_anothers_patches(sd, log):
    base = weights(sd)
    wrong: list[str] = []

    def work(factor: float) -> None:
        recipe = replace(sd, patches=(Scale(factor),)) if factor != 1 else sd
        for _ in range(20):
            with live.use(recipe) as parts:
                if not torch.equal(parts.unet.conv_in.weight, base * factor):
                    wrong.append(f"{factor}")

    threads = [threading.Thread(target=work, args=(factor,)) for factor in (1, 1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not wrong and not any(thread.is_alive() for thread in threads) and live.POOL.loads == 1
