import pytest
import torch

from latentloom.nodes.train.checkpoint import NAME, load_checkpoint, save_checkpoint


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


def test_a_save_that_dies_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, {"a": torch.zeros(2)}, {"step": 1})

    def die(file: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", die)
    with pytest.raises(OSError, match="no space"):
        save_checkpoint(tmp_path, {"a": torch.ones(2)}, {"step": 2})
    tensors, state = load_checkpoint(tmp_path) or ({}, {})
    assert state["step"] == 1
    assert torch.equal(tensors["a"], torch.zeros(2))
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
