"""A LoRA on a model: the patch that puts it into the live parts, and takes it out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from ...graph.node import NodeError
from ..models.call import current
from ..types import Patch
from .blend import beside, fused, offloaded
from .lora import Lora
from .skeleton import DENOISERS, ENCODERS
from .strengths import Blocks, Curve, at_step, of_block

if TYPE_CHECKING:
    from torch import nn

Way = Literal["auto", "fuse", "beside"]


@dataclass(frozen=True)
class AppliedLora(Patch):
    """`strength` is for the denoiser, `text_strength` for the text encoders, None for the same; `blocks` multiply both.
    `curve` is a factor by the step, for the denoiser; 1 where it is empty."""

    lora: Lora
    strength: float = 1.0
    text_strength: float | None = None
    blocks: Blocks = ()
    curve: Curve = ()
    way: Way = "auto"

    parts: ClassVar[tuple[str, ...]] = (*DENOISERS, *ENCODERS)
    by_picture: ClassVar[bool] = True

    def usual(self, part: str) -> float:
        """The strength in `part`, apart from blocks and steps."""
        return self.strength if part in DENOISERS or self.text_strength is None else self.text_strength

    @contextmanager
    def attach(self, part: str, module: nn.Module) -> Iterator[None]:
        factors = {}
        if usual := self.usual(part):
            changes = self.lora.load().get(part, {})
            factors = {name: usual * of_block(self.blocks, f"{part}.{name}") for name in changes}
        changes = {name: changes[name] for name, factor in factors.items() if factor}
        if not changes:
            yield
            return
        steady = part in ENCODERS or not self.curve

        def strength(name: str) -> float:
            call = None if steady else current()
            if call is None:
                return factors[name]
            return factors[name] * at_step(self.curve, call.step)

        if self._fuses(part, module):
            blended = fused(module, changes, strength, None if steady else _count)
        else:
            blended = beside(module, changes, strength)
        with blended:
            yield

    def _fuses(self, part: str, module: nn.Module) -> bool:
        away = offloaded(module)
        if away and self.way == "fuse":
            raise NodeError(
                f"The weights of {part} are offloaded and cannot hold a LoRA; set `way` to auto or beside, or load the "
                "model without sequential or group offloading."
            )
        if self.way != "auto":
            return self.way == "fuse"
        return not away


def _count() -> None:
    call = current()
    if call is not None:
        call.counts["LoRA weights computed anew"] += 1
