"""Which of PyTorch's backends computes a network's attention, for the run's report."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ...kernels.attention import choose
from ...kernels.implementations import Ask
from ..types import Conditioning
from .call import current
from .family import Predict
from .instead import Given, Instead


def observed(predict: Predict) -> Predict:
    """`predict`, whose first evaluation tells the run's report what computes attention, unless something else did."""
    seen = False
    sentences: list[str] = []

    def see(given: Given) -> None:
        choice = choose(Ask(*given[:4], None, given.scale, given.is_causal))
        sentence = f"{choice.name}: {choice.why}"
        if sentence not in sentences:
            sentences.append(sentence)

    def watched(sample: Tensor, timestep: Tensor | float, branches: Sequence[Conditioning]) -> tuple[Tensor, ...]:
        nonlocal seen
        call = current()
        if seen or call is None:
            return predict(sample, timestep, branches)
        seen = True
        with Instead(see):
            found = predict(sample, timestep, branches)
        if sentences:
            call.notes.setdefault("attention_ran", sentences)
        return found

    return watched
