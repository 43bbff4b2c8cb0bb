"""The model of a run, as guidances see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from ...graph.node import NodeError
from ...graph.progress import Progress
from ..models.family import Predict
from ..models.live import Parts, use
from ..types import Model

if TYPE_CHECKING:
    from torch import Tensor, nn


class RunNetwork:
    """`Network` of a run with `parts` on latents of `shape` (B, C, h, w). Other models are let go with `uses`, and
    `counted` counts their calls."""

    def __init__(
        self,
        parts: Parts,
        shape: Sequence[int],
        uses: ExitStack,
        counted: Callable[[Predict], Predict],
        progress: Progress,
    ) -> None:
        self._parts, self._shape, self._uses, self._counted = parts, shape, uses, counted
        self._progress = progress

    @property
    def model(self) -> Model:
        return self._parts.model

    @property
    def denoiser(self) -> nn.Module:
        return self._parts.denoiser

    def decode(self, latent: Tensor) -> Tensor:
        return self._parts.family.decode(self._parts, latent)

    def other(self, model: Model) -> Predict:
        mine, theirs = self._parts.model, model
        if mine.family != theirs.family:
            raise NodeError(
                f"{theirs.source} is of the family {theirs.family}, and the model it is to guide of {mine.family}; "
                "give two of one family."
            )
        parts = self._uses.enter_context(use(model, self._progress))
        kinds = [each.scheduler_config.get("prediction_type", "epsilon") for each in (self._parts, parts)]
        if kinds[0] != kinds[1]:
            raise NodeError(
                f"{theirs.source} predicts {kinds[1]}, and the model it is to guide {kinds[0]}; give two that predict "
                "the same."
            )
        return self._counted(parts.family.predictor(parts, self._shape))
