"""Guidance by a negative prompt inside of attention, around another guidance or alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from ..models.family import Predict
from ..types import Conditioning, Guidance
from .classifier_free import ClassifierFree
from .guide import Conditions, Guide, Step

if TYPE_CHECKING:
    from torch import Tensor

    from .attended import Together


@dataclass(frozen=True, eq=False)
class NegativeAttention(Guidance):
    """`guidance`, or none, where the positive branch looks at `negative` too, up to the share `stop` of the run.

    Without `negative` it is the one of the run. All else that `guidance` evaluates stays as it is.
    """

    method: ClassVar[str]
    joint: ClassVar[bool] = False
    """Whether it is defined where picture and prompt are one sequence."""

    guidance: Guidance | None
    negative: Conditioning | None
    stop: float

    @property
    def neutral(self) -> bool:
        """Whether it would change nothing."""
        raise NotImplementedError

    def combined(self, z_positive: Tensor, z_negative: Tensor) -> Tensor:
        """What the picture sees (B, N, C), of what it sees of either prompt."""
        raise NotImplementedError

    @property
    def together(self) -> Together | None:
        """Both attentions to the prompt and `combined` at once, where there is a quicker way than one by one."""
        return None

    def begin(self, conditions: Conditions) -> Guide:
        from .attended import Attended

        guided = (self.guidance or ClassifierFree(1.0)).begin(conditions)
        if self.neutral:
            return guided
        positive = conditions.positive
        negative = conditions.negative if self.negative is None else self.negative
        attended = Attended(
            conditions.network.denoiser, negative, self.combined, self.method, self.joint, self.together
        )
        attended.check(positive)
        changed: dict[int, tuple[Conditioning, Conditioning]] = {}

        def seeing_both(branch: Conditioning) -> Conditioning:
            """The branch that stands for `branch`, which caches keep apart from it."""
            return changed.setdefault(id(branch), (branch, replace(branch)))[1]

        def guide(predict: Predict, sample: Tensor, step: Step) -> Tensor:
            def partly(
                sample: Tensor, timestep: Tensor | float, branches: Sequence[Conditioning]
            ) -> tuple[Tensor, ...]:
                # A guidance may evaluate the positive prompt in other ways too, in branches of their own.
                ours = [branch for branch in branches if branch.tokens is positive.tokens]
                others = [branch for branch in branches if branch.tokens is not positive.tokens]
                found: dict[int, Tensor] = {}
                if others:
                    found |= zip(map(id, others), predict(sample, timestep, others), strict=True)
                if ours:
                    with attended.attach():
                        predictions = predict(sample, timestep, [seeing_both(branch) for branch in ours])
                    found |= zip(map(id, ours), predictions, strict=True)
                return tuple(found[id(branch)] for branch in branches)

            return guided(partly if step.index < int(self.stop * step.total) else predict, sample, step)

        return guide

    def distilled(self) -> tuple[float | None, Guidance | None]:
        told, left = self.guidance.distilled() if self.guidance else (None, None)
        return told, replace(self, guidance=left)
