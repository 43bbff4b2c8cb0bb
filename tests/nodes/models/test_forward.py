from __future__ import annotations

import pytest
import torch
from torch import nn

from latentloom.nodes.models.forward import forward_replaced


def test_a_module_computes_something_else_for_a_while() -> None:
    module, given = nn.Linear(2, 2), torch.ones(1, 2)
    plain = module(given)
    with forward_replaced(module, lambda tensor: tensor + 1):
        assert torch.equal(module(given), given + 1)
        with forward_replaced(module, lambda tensor: tensor + 2):
            assert torch.equal(module(given), given + 2)
        assert torch.equal(module(given), given + 1)
    assert torch.equal(module(given), plain)
    assert "forward" not in vars(module)


def test_it_is_put_back_after_an_error() -> None:
    module = nn.Linear(2, 2)
    with pytest.raises(RuntimeError), forward_replaced(module, lambda tensor: tensor):
        raise RuntimeError
    assert "forward" not in vars(module)
