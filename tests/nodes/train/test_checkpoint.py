import pytest
import torch

from latentloom.nodes.train.checkpoint import NAME, load_checkpoint, save_checkpoint, write_whole


def test_a_checkpoint_comes_back(tmp_path):
    tensors = {"a": torch.randn(3, 4).T, "step": torch.tensor(7.0)}
    state = {"step": 7, "losses": [[1, 0.5]]}
    save_checkpoint(tmp_path / "new", tensors, state)
    loaded = load_checkpoint(tmp_path / "new")
    assert loaded is not None
    assert loaded[1] == state
    assert all(torch.equal(loaded[0][name], value) for name, value in tensors.items())


def test_where_nothing_was_saved_there_is_none(tmp_path):
    assert load_checkpoint(tmp_path) is None


def test_a_write_that_dies_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / NAME
    write_whole(path, b"old")

    def die(file: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", die)
    with pytest.raises(OSError, match="no space"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
