import time

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from latentloom.nodes.sample import gauge
from latentloom.nodes.sample.gauge import Gauge

CPU = torch.device("cpu")


@pytest.mark.parametrize("masked", [False, True])
def test_attention_on_a_cpu_is_counted(masked: bool) -> None:
    """Two products of 6 x 5 by 8 channels, for each of 2 x 3 heads."""
    queries, keys = torch.randn(2, 3, 6, 8), torch.randn(2, 3, 5, 8)
    mask = torch.zeros(6, 5) if masked else None
    counting = Gauge(CPU, count_flops=True)
    with torch.inference_mode():
        plain = scaled_dot_product_attention(queries, keys, keys, attn_mask=mask)
        with counting.run():
            counted = scaled_dot_product_attention(queries, keys, keys, attn_mask=mask)
    assert counting.flops == 2 * 2 * (2 * 3) * 6 * 5 * 8
    assert torch.equal(counted, plain)


def test_convolutions_and_products_are_counted() -> None:
    counting = Gauge(CPU, count_flops=True)
    with torch.inference_mode(), counting.run():
        torch.nn.functional.conv2d(torch.randn(1, 3, 8, 8), torch.randn(4, 3, 3, 3))
        torch.mm(torch.randn(5, 4), torch.randn(4, 7))
    assert counting.flops == 2 * 6 * 6 * 4 * 27 + 2 * 5 * 4 * 7


def test_nothing_is_counted_unless_it_is_asked_for() -> None:
    plain = Gauge(CPU)
    with plain.run():
        torch.mm(torch.randn(5, 4), torch.randn(4, 7))
    assert plain.flops is None


def test_evaluations_make_steps() -> None:
    watch = Gauge(CPU)
    with watch.run():
        for pause in (0.0, 0.02, 0.0):
            with watch.step():
                time.sleep(pause)
        time.sleep(0.02)
    assert len(watch.seconds(1)) == 3
    first, last = watch.seconds(2)
    assert first >= 0.02 > last
    assert watch.total_seconds >= first + last + 0.02


def test_the_peak_is_that_of_the_run() -> None:
    """Neither what was held before, nor what an earlier run took."""
    held = torch.ones(4_000_000)
    peaks = []
    for size in (12_000_000, 3_000_000):
        watch = Gauge(CPU)
        with watch.run():
            torch.ones(size)
        peaks.append(watch.memory)
    if None in peaks:
        pytest.skip("this system tells no peak")
    assert 44e6 < peaks[0] < 80e6
    assert 9e6 < peaks[1] < 30e6
    assert held.sum() == 4_000_000


def test_without_linux_there_is_no_peak(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(gauge, "_PROCESS", tmp_path / "none")
    watch = Gauge(CPU)
    with watch.run():
        torch.ones(10)
    assert watch.memory is None
