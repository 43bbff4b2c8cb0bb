"""Benchmarks: a sentence where there is no GPU, and rows that mean what they say."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace
from importlib import import_module

import pytest
import torch
from attention_cases import DEVICE

from latentloom.kernels import measure

OPS = ("flash_attention", "block_sparse_attention", "sparse_linear_attention", "nag_attention")


@pytest.mark.skipif(torch.cuda.is_available(), reason="what a machine without a GPU does")
@pytest.mark.parametrize("op", OPS)
def test_a_machine_without_a_gpu_is_told(op):
    ran = subprocess.run(
        [sys.executable, "-m", f"latentloom.kernels.{op}.benchmark"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert ran.stderr.strip() == measure.NEEDS_GPU
    assert ran.stdout == ""


def test_a_row_compares_with_the_fastest_backend(monkeypatch: pytest.MonkeyPatch):
    times = {"ours": 2e-3, "product": 1e-3, "sdpa_flash": 3e-3, "sdpa_cudnn": 1e-3, "division": 4e-3}
    monkeypatch.setattr(measure, "seconds", lambda calls: times)
    monkeypatch.setattr(measure, "multiplication", lambda dtype: (None, 10**12))
    shape = measure.Shape("a model", 1, 2, 30, 40, 8)
    row = measure.compared(shape, Namespace(dtype=torch.bfloat16), {}, operations=10**12)
    assert row["TFLOP/s"] == pytest.approx(500)
    assert row["of product"] == pytest.approx(0.5)
    assert row["fastest of PyTorch"] == "sdpa_cudnn"
    assert row["ratio"] == pytest.approx(0.5)
    assert row["division ms"] == pytest.approx(4)
    assert row["size"] == "1x2x30x40x8"


def test_times_are_medians_of_turns(monkeypatch: pytest.MonkeyPatch):
    order: list[str] = []
    times = iter([1.0, 1.0, 5.0, 10.0, 1.0, 30.0, 3.0, 20.0])
    monkeypatch.setattr(measure, "_time", lambda call, repeats: (order.append(call()), next(times))[1])
    found = measure.seconds({"a": lambda: "a", "b": lambda: "b"}, rounds=3)
    assert order[2:] == ["a", "b"] * 3
    assert found == {"a": 3.0, "b": 20.0}


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("op", OPS)
def test_rows_run_what_they_say(op, backward, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("triton")
    module = import_module(f"latentloom.kernels.{op}.benchmark")
    ran: list[str] = []

    def seconds(calls):
        for name, call in calls.items():
            call()
            ran.append(name)
        return dict.fromkeys(calls, 1e-3)

    monkeypatch.setattr(measure, "DEVICE", DEVICE)
    monkeypatch.setattr(measure, "seconds", seconds)
    monkeypatch.setattr(measure, "multiplication", lambda dtype: (lambda: None, 10**12))
    for shapes in ("SELF", "CROSS"):
        monkeypatch.setattr(module, shapes, (measure.Shape("small", 1, 1, 70, 70, 16),), raising=False)
    given = Namespace(dtype=torch.float32, backward=backward, keep=0.5, critical=0.5, negligible=0.5)
    if op == "nag_attention" and backward:
        with pytest.raises(SystemExit, match="has no gradient"):
            list(module.rows(given))
        return
    found = list(module.rows(given))
    assert {"ours", "product", "sdpa_flash" if DEVICE == "cpu" else "sdpa_efficient"} <= set(ran)
    assert all(row["TFLOP/s"] > 0 for row in found)


def test_results_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    monkeypatch.setattr(sys, "argv", ["benchmark", "--out", str(tmp_path / "results.json"), "--keep", "0.2"])
    measure.benchmark("A test.", lambda given: iter([{"kept": given.keep, "type": str(given.dtype)}]), keep=0.1)
    assert capsys.readouterr().out == "kept 0.2  type torch.bfloat16\n"
    kept = json.loads((tmp_path / "results.json").read_text())
    assert kept["device"] == "a GPU"
    assert kept["rows"] == [{"kept": 0.2, "type": "torch.bfloat16"}]
