"""First-Block Cache (Cheng, 2024, https://github.com/chengzeyi/ParaAttention), by diffusers' hook.

What a transformer's first block adds tells how much the rest is going to change. It runs at every step; if what it
adds has changed by no more than `threshold`, as mean |now - then| / mean |then|, the others are left out, and what
they added when they last ran is added again:

    r_1 = block_1(x) - x;   if it changed:  y = blocks(x + r_1), keep y - (x + r_1);   else  y = x + r_1 + what was kept

The change is that of all rows of a call together, pictures and branches: in a batch another step may be left out than
alone. With blocks alike, B of them, a step that is left out costs 1 / B.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from ...graph.node import node
from ..models.forward import forward_replaced
from ..types import Model
from .step_cache import Counts, StepCache, added

if TYPE_CHECKING:
    from torch import Tensor, nn

FAMILIES = ("sd3", "flux", "pixart")


@dataclass(frozen=True)
class FirstBlockCache(StepCache):
    """Leaves out all blocks but the first where that one changed little."""

    parts: ClassVar[tuple[str, ...]] = ("transformer",)

    threshold: float

    @contextmanager
    def attach(self, part: str, module: nn.Module) -> Iterator[None]:
        from diffusers.hooks import FirstBlockCacheConfig, apply_first_block_cache

        from .hooked import hooked

        config, counts = FirstBlockCacheConfig(self.threshold), Counts("blocks computed", "blocks skipped")
        with (
            _prompt_handed_on(module),
            hooked(module, "First-Block Cache", lambda root: apply_first_block_cache(root, config), counts),
        ):
            yield


@contextmanager
def _prompt_handed_on(transformer: Any) -> Iterator[None]:
    """The last block of Stable Diffusion 3 gives no tokens of the prompt, as nothing reads them after it, but the hook
    subtracts those of the first block from them: while the context lasts, it gives them as they came."""
    last = transformer.transformer_blocks[-1]
    if not getattr(last, "context_pre_only", False):
        yield
        return
    block = last.forward

    def forward(
        hidden_states: Tensor, encoder_hidden_states: Tensor, *given: Any, **told_with: Any
    ) -> tuple[Tensor, Tensor]:
        _, found = block(hidden_states, encoder_hidden_states, *given, **told_with)
        return encoder_hidden_states, found

    with forward_replaced(last, forward):
        yield


@node(title="First-Block Cache")
def first_block_cache(
    model: Model,
    threshold: Annotated[
        float, Field(ge=0, le=10, description="change of the first block up to which the others are left out; 0: never")
    ] = 0.05,
) -> Model:
    """Leave out a transformer's other blocks at steps where the first one changes little.

    For sd3, flux and pixart. How many blocks ran is in the run's report. https://github.com/chengzeyi/ParaAttention
    """
    from .hooked import check_family

    check_family(model, "First-Block Cache", FAMILIES)
    return added(model, FirstBlockCache(threshold), "First-Block Cache")
