"""How heads are cut, and which configurations are tried."""

from __future__ import annotations

from threading import Thread

import pytest
import torch

launch = pytest.importorskip("latentloom.kernels.launch")


@pytest.mark.parametrize(
    ("head", "wide", "rest"),
    [
        (1, 16, 0),
        (16, 16, 0),
        (32, 32, 0),
        (40, 32, 16),
        (48, 32, 16),
        (64, 64, 0),
        (72, 64, 16),
        (80, 64, 16),
        (96, 64, 32),
        (112, 128, 0),
        (128, 128, 0),
        (160, 128, 32),
        (200, 256, 0),
        (256, 256, 0),
    ],
)
def test_a_head_is_one_power_of_two_or_two(head, wide, rest):
    assert launch.split(head) == (wide, rest)


def test_no_head_is_wider_than_its_next_power_of_two():
    for head in range(1, 257):
        wide, rest = launch.split(head)
        assert head <= wide + rest <= max(16, 1 << (head - 1).bit_length())


@pytest.mark.parametrize("head", [0, 257])
def test_heads_end_at_256(head):
    with pytest.raises(ValueError, match=f"a head of {head} does not fit"):
        launch.split(head)


@pytest.mark.parametrize(("length", "tile"), [(1, 1), (77, 1), (4096, 128), (32760, 8), (96, 32)])
def test_tiles_that_need_no_mask(length, tile):
    assert launch.alignment(length) == tile


@pytest.mark.parametrize(
    ("tensor", "eights"),
    [
        (torch.empty(2, 4096, 8, 40).transpose(1, 2), True),
        (torch.empty(2, 8, 77, 40), True),
        (torch.empty(1, 1, 77, 40).as_strided((1, 1, 77, 40), (1, 1, 40, 1)), True),
        (torch.empty(2, 8, 77, 36), False),
        (torch.empty(2, 8, 40, 77).transpose(2, 3), False),
    ],
)
def test_heads_that_lie_on_eights(tensor, eights):
    assert launch.head_of(tensor)["EIGHTS"] is eights
    assert launch.head_of(torch.empty(1, 1, 8, 40), tensor)["EIGHTS"] is eights


K = torch.empty(2, 100, 8, 40, dtype=torch.bfloat16).transpose(1, 2)


@pytest.fixture
def hopper(monkeypatch):
    monkeypatch.setattr(launch, "has_tma", lambda device: True)


@pytest.mark.parametrize(
    "tensor",
    [
        K,
        K.half(),
        K[:, :, 1:],
        K[..., :36],
        K[:1].expand(2, -1, -1, -1),
        torch.empty(3, 2, 8, 77, 64, dtype=torch.bfloat16)[1],
    ],
)
def test_what_descriptors_describe(tensor, hopper):
    assert launch.tma_fits(tensor)
    assert launch.tma_fits(K, tensor)


@pytest.mark.parametrize(
    "tensor",
    [
        K.float(),
        K[..., 4:],
        K.transpose(2, 3),
        torch.empty(2, 8, 77, 36, dtype=torch.bfloat16),
        torch.empty(2, 8, 77, 80, dtype=torch.bfloat16)[..., ::2],
        torch.empty(1, 1, 1, 36, dtype=torch.bfloat16),
        torch.empty(1, 1, 1, 40, dtype=torch.bfloat16).expand(1, 1, 77, 40),
    ],
    ids=[
        "32 bits",
        "begins within 16 bytes",
        "columns apart",
        "rows of 72 bytes",
        "every other",
        "one row",
        "repeated",
    ],
)
def test_what_descriptors_do_not_describe(tensor, hopper):
    assert not launch.tma_fits(tensor)
    assert not launch.tma_fits(K, tensor)


def test_halves_of_heads_are_wide_enough_for_descriptors():
    """16 bytes, of numbers of 2."""
    assert all(part == 0 or part * 2 >= 16 for head in range(1, 257) for part in launch.split(head))


@pytest.mark.parametrize(
    ("device", "capability", "tuned", "expected"),
    [
        ("cuda", (9, 0), True, True),
        ("cuda", (12, 0), True, True),
        ("cuda", (8, 9), True, False),
        ("cuda", (9, 0), False, False),
        ("cpu", (9, 0), True, False),
    ],
)
def test_which_devices_have_descriptors(device, capability, tuned, expected, monkeypatch):
    monkeypatch.setattr(launch, "TUNED", tuned)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert launch.has_tma.__wrapped__(torch.device(device)) is expected
    monkeypatch.setattr(torch.version, "hip", "7.0")
    assert not launch.has_tma.__wrapped__(torch.device(device))


@pytest.mark.parametrize(
    ("block", "fits", "tried"),
    [
        (0, True, [(128, False), (64, False), (128, True), (64, True)]),
        (64, True, [(64, False), (64, True)]),
        (0, False, [(128, False), (64, False)]),
        (32, False, [(64, False)]),
        (32, None, [(64, False)]),
    ],
)
def test_configurations_that_are_tried(block, fits, tried, monkeypatch):
    chosen = {}
    monkeypatch.setattr(launch, "TUNED", True)
    monkeypatch.setattr(
        launch.triton, "autotune", lambda configs, **options: chosen.update(options) or (lambda _: None)
    )
    plain = [launch.config(tile, tile, 4, 2) for tile in (128, 64)]
    described = [launch.config(tile, tile, 4, 2, TMA=True) for tile in (128, 64)]
    launch.tuned(*plain, *described, key=("BLOCK",))(None)
    given = {"BLOCK": block, "WIDE": 64, "REST": 0} | ({} if fits is None else {"TMA_FITS": fits})
    found = chosen["prune_configs_by"]["early_config_prune"](plain + described, {}, **given)
    assert [(config.kwargs["QUERIES"], config.kwargs.get("TMA", False)) for config in found] == tried


def test_memory_for_descriptors_is_on_the_gpu():
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        found = launch.scratch(384, 128, None)
    assert (found.device.type, found.nbytes) == ("cuda", 384)


@pytest.mark.parametrize("fits", [True, False])
def test_memory_for_descriptors_is_given_in_the_thread_that_launches(fits, monkeypatch):
    kernel = pytest.importorskip("latentloom.kernels.flash_attention.kernel")
    from triton.runtime._allocation import _allocator

    found = []
    grid = {"launched": lambda *tensors, **constants: found.append((_allocator.get(), constants["TMA_FITS"]))}
    monkeypatch.setattr(kernel, "tma_fits", lambda *tensors: fits)
    monkeypatch.setattr(kernel, "grid", lambda *shape: "launched")
    monkeypatch.setattr(kernel, "_forward", grid)
    q = torch.zeros(1, 1, 8, 16)
    thread = Thread(target=kernel.flash_attention, args=(q, q, q))
    thread.start()
    thread.join()
    assert [(allocator is launch.scratch, described) for allocator, described in found] == [(fits, fits)]
