"""A safetensors file is whole, or the sentence says what is wrong with it."""

import json
import struct
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from latentloom.graph.node import NodeError
from latentloom.nodes.models import weights


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.ones(3, 5), "b.c": torch.zeros(7, dtype=torch.float16)}, path, metadata={"format": "pt"})
    return path


def frame(header: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header


def test_the_header_of_a_whole_file(whole):
    assert {name: tensor["shape"] for name, tensor in weights.header(whole).items()} == {"a": [3, 5], "b.c": [7]}
    assert weights.elements(whole) == 22 and weights.elements(whole, "b.") == 7


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no safetensors file"),
        (b"abc", "no safetensors file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
        (b"PK\x03\x04" + bytes(60), "is a pickle"),
        (b"\x80\x04\x95" + bytes(60), "is a pickle"),
        (frame(b"{}", 2**62), "no safetensors file"),
        (frame(b"{}", 5000), "cut off inside its header"),
        (frame(b"{]"), "header is not the JSON"),
        (frame(b"[1, 2]"), "header is not the JSON"),
        (frame(b'{"a": 1}'), "header is not the JSON"),
        (frame(b'{"a": {"shape": 3, "data_offsets": [0, 0]}}'), "header is not the JSON"),
        (frame(b"\xff\xfe"), "header is not the JSON"),
        (frame(b"[" * 50_000), "header is not the JSON"),
        (frame(b"{}") + b"more", "longer than it should be"),
    ],
)
def test_what_is_no_whole_file(tmp_path, content, told):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(NodeError, match=told):
        weights.header(path)


def test_every_truncation_is_seen(whole):
    content = whole.read_bytes()
    for length in range(len(content)):
        whole.write_bytes(content[:length])
        with pytest.raises(NodeError):
            weights.header(whole)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(at=st.integers(0, 200), value=st.integers(0, 255))
def test_a_damaged_byte_never_ends_in_another_error(whole, at, value):
    save_file({"a": torch.ones(3, 5)}, whole)
    content = bytearray(whole.read_bytes())
    content[at % len(content)] = value
    whole.write_bytes(content)
    try:
        weights.elements(whole)
    except NodeError as error:
        assert str(whole) in str(error)


def test_shards_are_found_by_their_index(tmp_path):
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    for name in names:
        save_file({name: torch.zeros(4)}, tmp_path / name)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {name: name for name in names}}))
    assert [path.name for path in weights.find(tmp_path, "model").files] == names
    (tmp_path / names[1]).unlink()
    with pytest.raises(NodeError, match=rf"lacks {names[1]}, named in model.safetensors.index.json"):
        weights.find(tmp_path, "model")
    index.write_text(json.dumps({"weight_map": {"a": "../elsewhere.safetensors"}}))
    with pytest.raises(NodeError, match="lacks"):
        weights.find(tmp_path, "model")
    index.write_text("[]")
    with pytest.raises(NodeError, match="not the list of files"):
        weights.find(tmp_path, "model")


def test_full_precision_comes_before_half(tmp_path):
    save_file({"a": torch.zeros(4)}, tmp_path / "model.fp16.safetensors")
    assert weights.find(tmp_path, "model").variant == "fp16"
    save_file({"a": torch.zeros(4)}, tmp_path / "model.safetensors")
    assert weights.find(tmp_path, "model").variant is None


@pytest.mark.parametrize("length", [0x280, 0x380, 0x480, 0x580])
def test_a_header_as_long_as_a_pickle_begins_is_read(tmp_path, length):
    """Its length is written with the bytes that begin a pickle."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(frame(b"{}".ljust(length)))
    assert weights.header(path) == {}
