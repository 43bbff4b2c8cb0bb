"""Settings are checked in sentences, and one place decides what they come to on this machine."""

import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from latentloom.graph.node import NodeError
from latentloom.nodes.models import runtime
from latentloom.nodes.models.runtime import RuntimeSettings, parse_gb, place, salt


@pytest.mark.parametrize(
    ("text", "gib"),
    [("6", 6), ("6GB", 6), ("6 GiB", 6), ("1.5g", 1.5), (".5", 0.5), ("512MB", 0.5), ("512 m", 0.5), ("1TB", 1024)],
)
def test_sizes_as_people_write_them(text, gib):
    assert parse_gb(text) == gib


@pytest.mark.parametrize("text", ["", "much", "-1", "0", "0MB", "6 apples", "1e3", "nan", "inf", "6 GB GB", "1,5"])
def test_what_is_no_size(text):
    with pytest.raises(ValueError, match="write it as 6, 6GB or 512MB"):
        parse_gb(text)


@given(st.text(max_size=20))
def test_a_size_is_positive_or_a_sentence(text):
    try:
        assert parse_gb(text) > 0
    except ValueError as error:
        assert "is not a size" in str(error)


def test_all_wrong_settings_are_told_at_once():
    with pytest.raises(ValueError, match="device") as caught:
        RuntimeSettings(device="gpu", dtype="fp15", memory_gb=-1, channels_last="yes", offload="all")  # pyright: ignore
    said = str(caught.value)
    assert "device 'gpu' is none of auto, cpu, mps, cuda, cuda:N." in said
    assert "dtype 'fp15' is none of" in said and "Did you mean fp16?" in said
    assert "memory of -1 GB" in said and "channels_last 'yes'" in said
    assert "offload 'all' is none of none, model, group, sequential." in said
    for size in (0, math.inf, math.nan):
        with pytest.raises(ValueError, match="is not a size"):
            RuntimeSettings(memory_gb=size)


def test_the_cpu_computes_in_float32():
    placement = place(RuntimeSettings(device="cpu"))
    assert placement.dtype == torch.float32 and not placement.channels_last and placement.memory is None
    assert place(RuntimeSettings(device="cpu", dtype="bf16", memory_gb=2)).dtype == torch.bfloat16
    assert place(RuntimeSettings(device="cpu", memory_gb=2)).memory == 2 * 2**30


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there():
    with pytest.raises(NodeError, match=r"device 'cuda:3' is asked for, and PyTorch finds no CUDA device here"):
        place(RuntimeSettings(device="cuda:3"))


def test_what_this_machine_cannot_do_is_told_at_once():
    with pytest.raises(NodeError) as caught:
        place(RuntimeSettings(device="cpu", offload="model", attention="_native_mat"))
    said = str(caught.value)
    assert "offload 'model' frees a GPU's memory" in said and "Did you mean _native_math?" in said


def test_the_salt_tells_what_changes_numbers():
    plain = RuntimeSettings(device="cpu")
    assert salt(plain) == salt(RuntimeSettings(device="cpu", memory_gb=3)) == salt(RuntimeSettings("cpu", "float32"))
    others = [
        RuntimeSettings(device="cpu", dtype="bfloat16"),
        RuntimeSettings(device="cpu", channels_last=True),
        RuntimeSettings(device="cpu", attention="_native_math"),
        RuntimeSettings(device="cpu", compile=True),
    ]
    assert len({salt(settings) for settings in (plain, *others)}) == 5


def test_the_report_says_what_was_chosen():
    facts = place(RuntimeSettings(device="cpu", memory_gb=1.5)).facts()
    assert facts["device"].startswith("CPU") and facts["dtype"] == "float32" and facts["memory_gb"] == 1.5
    assert facts["torch"] == torch.__version__ and facts["diffusers"] and facts["threads"] >= 1
    assert {"attention", "compile", "offload", "channels_last"} <= facts.keys()


def test_settings_hold_until_others_are_used():
    before = runtime.settings
    try:
        runtime.use_settings(RuntimeSettings(device="cpu", memory_gb=7))
        assert runtime.settings.memory_gb == 7
    finally:
        runtime.use_settings(before)


def test_settings_are_checked_without_pytorch():
    code = (
        "import sys; from latentloom.nodes.models.runtime import RuntimeSettings, parse_gb; RuntimeSettings('cpu'); "
        "assert not {'torch', 'diffusers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
