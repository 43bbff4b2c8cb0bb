"""Which of PyTorch's backends computes a network's attention, for the run's report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from ...kernels.attention import choose
from ...kernels.implementations import Ask
from ..types import Conditioning
from .call import current
from .family import Predict


class _Watching(TorchFunctionMode):
    """While this lasts, `sentences` gather what computes each attention and why, each once. Nothing is changed."""

    def __init__(self) -> None:
        super().__init__()
        self.sentences: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is scaled_dot_product_attention:
            self._see(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _see(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> None:
        choice = choose(Ask(query, key, value, attn_mask, None, scale, is_causal))
        sentence = f"{choice.name}: {choice.why}"
        if sentence not in self.sentences:
            self.sentences.append(sentence)


def observed(predict: Predict) -> Predict:
    """`predict`, whose first evaluation tells the run's report what computes attention, unless something else did."""
    seen = False

    def watched(sample: Tensor, timestep: Tensor | float, branches: Sequence[Conditioning]) -> tuple[Tensor, ...]:
        nonlocal seen
        call = current()
        if seen or call is None:
            return predict(sample, timestep, branches)
        seen = True
        with _Watching() as watching:
            found = predict(sample, timestep, branches)
        if watching.sentences:
            call.notes.setdefault("attention_ran", watching.sentences)
        return found

    return watched
