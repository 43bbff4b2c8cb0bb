"""Something else in place of PyTorch's attention, or beside it, while it lasts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode


class Given(NamedTuple):
    """What PyTorch's scaled_dot_product_attention is given, by its names."""

    query: Tensor
    key: Tensor
    value: Tensor
    attn_mask: Tensor | None = None
    dropout_p: float = 0.0
    is_causal: bool = False
    scale: float | None = None
    enable_gqa: bool = False


class Instead(TorchFunctionMode):
    """While this lasts, `attend` computes what PyTorch's attention is asked for, or leaves it to PyTorch by None."""

    def __init__(self, attend: Callable[[Given], Tensor | None]) -> None:
        super().__init__()
        self._attend = attend

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        found = self._attend(Given(*args, **kwargs)) if func is scaled_dot_product_attention else None
        return func(*args, **kwargs) if found is None else found
