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
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from ...graph.node import node
from ..types import Model
from .step_cache import Counts, StepCache, added

if TYPE_CHECKING:
    from torch import nn

FAMILIES = ("flux", "pixart")
"""Those whose last block gives what diffusers' hook takes; that of sd3 gives no tokens of the prompt."""


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
        with hooked(module, "First-Block Cache", lambda root: apply_first_block_cache(root, config), counts):
            yield


@node(title="First-Block Cache")
def first_block_cache(
    model: Model,
    threshold: Annotated[
        float, Field(ge=0, le=10, description="change of the first block up to which the others are left out; 0: never")
    ] = 0.05,
) -> Model:
    """Leave out a transformer's other blocks at steps where the first one changes little.

    For flux and pixart. How many blocks ran is in the run's report. https://github.com/chengzeyi/ParaAttention
    """
    from .hooked import check_family

    check_family(model, "First-Block Cache", FAMILIES)
    return added(model, FirstBlockCache(threshold), "First-Block Cache")
